import { api, data, type Log, type Machine, type User } from '../api/client';
import { ApiError } from '../api/error';
import { session } from '../api/session.svelte';
import type { HistoryEntry } from './historySentences';

export type FullLog = Log & { expanded?: { machine?: Machine; user?: User | null } };

const OWN_EDIT_PERIOD_MS = 24 * 60 * 60 * 1000;

/** Whether the current user may edit a log. This repeats the rule of the API, to hide buttons that the API would refuse. */
export function canEdit(log: FullLog, now: number): boolean {
  const user = session.user;
  if (session.hasRole('supervisor')) return true;
  if (!user || !log.user) return false;
  if (user.role === 'lead') return log.user === user.trigram || log.expanded?.user?.role === 'operator';
  return user.role === 'operator' && log.user === user.trigram && now - Date.parse(log.created_at) <= OWN_EDIT_PERIOD_MS;
}

/** One log and its history. */
export class LogRecord {
  readonly uuid: string;
  log = $state.raw<FullLog | null>(null);
  history = $state.raw<HistoryEntry[]>([]);
  earlierCursor = $state<string | null>(null);
  isDeleted = $state(false);
  error = $state.raw<ApiError | null>(null);

  constructor(uuid: string) {
    this.uuid = uuid;
  }

  async load(): Promise<void> {
    await Promise.all([this.#loadLog(), this.#loadHistory()]);
  }

  async loadEarlierHistory(): Promise<void> {
    if (!this.earlierCursor) return;
    const page = await data(api.GET('/logs/{uuid}/history', { params: { path: { uuid: this.uuid }, query: { cursor: this.earlierCursor } } }));
    this.history = [...this.history, ...(page.items as HistoryEntry[])];
    this.earlierCursor = page.next;
  }

  /** Change fields of this version. Throws an `ApiError`; if the log changed since, 412 with its current state. */
  async update(body: Record<string, unknown>, version: number): Promise<void> {
    if (Object.keys(body).length) {
      const params = { path: { uuid: this.uuid }, header: { 'If-Match': `"${version}"` } };
      await api.PATCH('/logs/{uuid}', { params, body } as never);
    }
    await this.load();
  }

  /** Set the fields of a history entry back to their values before it. Throws an `ApiError`. */
  async undo(entry: HistoryEntry): Promise<void> {
    const body = Object.fromEntries(Object.entries(entry.changes).map(([field, [before]]) => [field, before]));
    await this.update(body, this.log!.version);
  }

  async restore(): Promise<void> {
    await api.POST('/logs/{uuid}/restore', { params: { path: { uuid: this.uuid } } });
    await this.load();
  }

  async #loadLog(): Promise<void> {
    try {
      const params = { path: { uuid: this.uuid }, query: { expand: 'machine,user' } };
      this.log = (await data(api.GET('/logs/{uuid}', { params }))) as FullLog;
      this.isDeleted = false;
      this.error = null;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      this.isDeleted = thrown.status === 410;
      this.error = this.isDeleted ? null : thrown;
    }
  }

  async #loadHistory(): Promise<void> {
    try {
      const page = await data(api.GET('/logs/{uuid}/history', { params: { path: { uuid: this.uuid }, query: { limit: 20 } } }));
      this.history = page.items as HistoryEntry[];
      this.earlierCursor = page.next;
    } catch (thrown) {
      // `#loadLog` fails for the same reason and reports it.
      if (!(thrown instanceof ApiError)) throw thrown;
    }
  }
}

import { api, data, type Log, type Machine, type User } from '../api/client';
import { ApiError } from '../api/error';
import { attributesPatch, attributeValues } from '../attributes/attributes';
import { session } from '../api/session.svelte';
import { outbox, type Origin, type Target, type WriteResult } from '../offline/outbox.svelte';
import type { StoredRecord } from '../offline/queue';
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

/** The merge patch that turns attributes back: it names every attribute that differs. */
function undoAttributes(before: unknown, after: unknown): object {
  return attributesPatch(attributeValues(after as object | null), attributeValues(before as object | null)) ?? {};
}

/** One log and its history. */
export class LogRecord {
  /** The log as the service has it. */
  stored = $state.raw<FullLog | null>(null);
  /** The log with the changes of this device that are not sent yet. */
  log = $derived(this.stored && outbox.withPending('logs', this.stored.uuid, this.stored));
  readonly uuid: string;
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

  /**
   * Change fields through the outbox. A press of a button `mergesAlone`; a form that was edited for a while does not. The origin
   * is the form's draft, and the refused change that this one replaces.
   */
  async update(body: Record<string, unknown>, base: FullLog, origin: Origin & { mergesAlone?: boolean } = { mergesAlone: true }): Promise<WriteResult> {
    const result = await outbox.update(this.#target(base), body, origin);
    if (result.state === 'sent') await this.load();
    return result;
  }

  /** Show a file that was sent: the service has answered with the record. */
  showUpload({ attachments, attachment_count, version, updated_at }: FullLog): void {
    if (this.stored && version > this.stored.version) this.stored = { ...this.stored, attachments, attachment_count, version, updated_at };
  }

  /** Set the fields of a history entry back to their values before it. */
  undo(entry: HistoryEntry): Promise<WriteResult> {
    const body = Object.fromEntries(Object.entries(entry.changes).map(([field, [before, after]]) => [field, field === 'attributes' ? undoAttributes(before, after) : before]));
    // Without a stop there is no kind of stop.
    if (body.down_from === null && this.log!.down_kind) body.down_kind = null;
    return this.update(body, this.log!);
  }

  /** Delete the log after some seconds. Returns the UUID by which the outbox can still forget it. */
  remove(): Promise<string> {
    return outbox.remove(this.#target(this.log!));
  }

  async restore(): Promise<void> {
    await api.POST('/logs/{uuid}/restore', { params: { path: { uuid: this.uuid } } });
    await this.load();
  }

  async #loadLog(): Promise<void> {
    try {
      const params = { path: { uuid: this.uuid }, query: { expand: 'machine,user' } };
      this.stored = (await data(api.GET('/logs/{uuid}', { params }))) as FullLog;
      this.isDeleted = false;
      this.error = null;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      this.isDeleted = thrown.status === 410;
      if (this.isDeleted && session.hasRole('supervisor')) this.stored = (await this.#readDeleted()) ?? this.stored;
      // What is on screen stays there if only the network is gone.
      this.error = this.isDeleted || (this.log && thrown.isTransient) ? null : thrown;
    }
  }

  /** Read what a deleted log said. Only its list has it. */
  async #readDeleted(): Promise<FullLog | null> {
    const query = `deleted=true&uuid=${this.uuid}&expand=machine,user`;
    const page = await data(api.GET('/logs', { querySerializer: () => query })).catch(() => null);
    return (page?.items[0] as FullLog | undefined) ?? null;
  }

  #target(base: FullLog): Target {
    return { resource: 'logs', key: this.uuid, base: base as unknown as StoredRecord };
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

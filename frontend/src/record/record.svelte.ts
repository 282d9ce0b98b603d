import { api, data, type Log, type Machine, type User } from '../api/client';
import { Failure } from '../api/failure';
import { session } from '../api/session.svelte';
import type { Entry } from './sentences';

export type FullLog = Log & { expanded?: { machine?: Machine; user?: User | null } };

const GRACE_MS = 24 * 60 * 60 * 1000;

/** Whether the one who is signed in may edit a log: the rule of the API, so that no button leads to a refusal. */
export function mayEdit(log: FullLog, now: number): boolean {
  const me = session.user;
  if (session.may('supervisor')) return true;
  if (!me || !log.user) return false;
  if (me.role === 'lead') return log.user === me.trigram || log.expanded?.user?.role === 'operator';
  return me.role === 'operator' && log.user === me.trigram && now - Date.parse(log.created_at) <= GRACE_MS;
}

/** One log with its history, read together and kept up to date. */
export class LogRecord {
  readonly uuid: string;
  log = $state.raw<FullLog | null>(null);
  history = $state.raw<Entry[]>([]);
  earlier = $state<string | null>(null);
  deleted = $state(false);
  failure = $state.raw<Failure | null>(null);

  constructor(uuid: string) {
    this.uuid = uuid;
  }

  async load(): Promise<void> {
    await Promise.all([this.#readLog(), this.#readHistory()]);
  }

  async readEarlier(): Promise<void> {
    if (!this.earlier) return;
    const page = await data(api.GET('/logs/{uuid}/history', { params: { path: { uuid: this.uuid }, query: { cursor: this.earlier } } }));
    this.history = [...this.history, ...(page.items as Entry[])];
    this.earlier = page.next;
  }

  /** Change fields of this version; throws a `Failure`, 412 with the record as it is if there is a later one. */
  async change(body: Record<string, unknown>, version: number): Promise<void> {
    if (Object.keys(body).length) {
      const params = { path: { uuid: this.uuid }, header: { 'If-Match': `"${version}"` } };
      await api.PATCH('/logs/{uuid}', { params, body } as never);
    }
    await this.load();
  }

  /** Put the fields of an entry back to what they were before it; throws a `Failure`. */
  async undo(entry: Entry): Promise<void> {
    const body = Object.fromEntries(Object.entries(entry.changes).map(([field, [before]]) => [field, before]));
    await this.change(body, this.log!.version);
  }

  async restore(): Promise<void> {
    await api.POST('/logs/{uuid}/restore', { params: { path: { uuid: this.uuid } } });
    await this.load();
  }

  async #readLog(): Promise<void> {
    try {
      const params = { path: { uuid: this.uuid }, query: { expand: 'machine,user' } };
      this.log = (await data(api.GET('/logs/{uuid}', { params }))) as FullLog;
      this.deleted = false;
      this.failure = null;
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      this.deleted = thrown.status === 410;
      this.failure = this.deleted ? null : thrown;
    }
  }

  async #readHistory(): Promise<void> {
    try {
      const page = await data(api.GET('/logs/{uuid}/history', { params: { path: { uuid: this.uuid }, query: { limit: 20 } } }));
      this.history = page.items as Entry[];
      this.earlier = page.next;
    } catch (thrown) {
      // The log itself says what is wrong.
      if (!(thrown instanceof Failure)) throw thrown;
    }
  }
}

import { api, data } from '../../api/client';
import { ApiError } from '../../api/error';
import { network } from '../../api/network.svelte';
import { serverTime } from '../../api/serverTime.svelte';
import { session } from '../../api/session.svelte';
import { canEdit, LogRecord, type FullLog } from '../../logDetail/logRecord.svelte';
import { offlineCache, type CachedMachine } from '../../offline/offlineCache.svelte';
import { outbox } from '../../offline/outbox.svelte';
import type { QueuedCreate } from '../../offline/queue';
import { showChange } from '../../shell/showChange';
import type { Row } from '../requests';

/** A log of the machine, sent or not. */
export interface MachineLog {
  log: FullLog;
  /** The service does not have it yet. */
  isUnsent: boolean;
}

/** The names of a machine that was merged and of the machine that has its logs. */
export interface Merge {
  name: string;
  into: string;
}

const MAX_LOGS = 5;

/** The machine whose QR label was scanned: its state, its last logs and its ongoing stops, with the changes that this device has not sent yet. */
export class ScannedMachine {
  machine = $state.raw<Row | CachedMachine | null>(null);
  /** Whether the logs below are known; without network they may not be. */
  hasLogs = $state(false);
  isMissing = $state(false);
  /** The merge in which this machine was deleted. */
  merge = $state.raw<Merge | null>(null);
  error = $state.raw<ApiError | null>(null);
  #recent = $state.raw<readonly FullLog[]>([]);
  #stopped = $state.raw<readonly FullLog[]>([]);
  #isLoaded = $state(false);

  /** Whether there is something to show: at least the name. */
  isReady = $derived(this.machine !== null && this.#isLoaded);
  /** All known logs of the machine, each once, the newest first. */
  #all = $derived.by((): MachineLog[] => {
    const sent = newestVersions([...this.#recent, ...this.#stopped]);
    const unsent = this.#unsent().filter(({ uuid }) => !sent.has(uuid));
    const all = [...unsent.map((log) => ({ log, isUnsent: true })), ...[...sent.values()].map((log) => ({ log, isUnsent: false }))];
    const current = all.map(({ log, isUnsent }) => ({ log: outbox.withPending('logs', log.uuid, log), isUnsent }));
    return current.sort((one, other) => Date.parse(other.log.started_at) - Date.parse(one.log.started_at));
  });
  lastLogs = $derived(this.#all.slice(0, MAX_LOGS));
  /** The logs whose stop has not ended, the longest first. */
  stops = $derived(this.#all.map(({ log }) => log).filter(({ down_from, down_to }) => down_from && !down_to).sort((one, other) => Date.parse(one.down_from!) - Date.parse(other.down_from!)));

  /** Load the machine with this id. What is on screen stays there if only the network is gone. */
  async load(id: number): Promise<void> {
    try {
      this.machine = (await readMachine(id)) ?? this.machine;
      this.isMissing = this.machine === null;
      this.merge = this.isMissing && !network.isOffline ? await readMerge(id) : null;
      this.error = null;
      if (this.machine) await this.#loadLogs(this.machine.name);
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      this.error = thrown;
    }
    this.#isLoaded = true;
  }

  /** Whether this user may end the stop of a log. */
  canFinish(log: FullLog): boolean {
    return this.#unsent().some(({ uuid }) => uuid === log.uuid) || canEdit(log, serverTime.now());
  }

  /** End the stop of a log at this moment, and the log with it. */
  async finish(log: FullLog, message: string): Promise<void> {
    const record = new LogRecord(log.uuid);
    record.stored = log;
    const [{ down_to, status }, now] = [log, serverTime.nowText()];
    const result = await record.update({ down_to: now, status: 'done' }, log);
    // The record was read again if the change was sent, and an undo replaces that version.
    this.#recent = [record.stored, ...this.#recent];
    showChange(result, message, () => record.update({ down_to, status }, record.log!));
  }

  async #loadLogs(machine: string): Promise<void> {
    const filter = `machine=${encodeURIComponent(machine)}`;
    try {
      // The same addresses as the reads for offline use, so that one copy serves both.
      [this.#recent, this.#stopped] = await Promise.all([
        readLogs(`${filter}&limit=20&expand=machine,user`),
        readLogs(`${filter}&down_from__isnull=false&down_to__isnull=true&limit=20&expand=machine,user`),
      ]);
      // Copies without a log of this machine do not mean that it has none.
      this.hasLogs = !network.isOffline || this.#recent.length > 0;
    } catch (thrown) {
      if (!(thrown instanceof ApiError) || !thrown.isTransient) throw thrown;
    }
  }

  /** The logs of this machine that wait in the outbox, in the form that the service will give them. */
  #unsent(): FullLog[] {
    const waiting = outbox.own.filter((item) => item.kind === 'create' && item.body.machine === this.machine?.name) as QueuedCreate[];
    const absent = { comment: null, cause: null, action: null, down_from: null, down_to: null, user: session.user?.trigram ?? null };
    return waiting.map(({ uuid, body }) => ({ ...absent, ...body, uuid, version: 1 }) as unknown as FullLog);
  }
}

/** The logs by UUID. Two copies from before the network was lost may have one log in two versions. */
function newestVersions(logs: readonly FullLog[]): Map<string, FullLog> {
  return new Map([...logs].sort((one, other) => one.version - other.version).map((log) => [log.uuid, log]));
}

async function readMachine(id: number): Promise<Row | CachedMachine | null> {
  try {
    const page = await data(api.GET('/machines', { querySerializer: () => `id=${id}&expand=activity` }));
    if (page.items[0] || !network.isOffline) return (page.items[0] as Row | undefined) ?? null;
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || !thrown.isTransient) throw thrown;
  }
  return (await offlineCache.findMachineById(id)) ?? null;
}

/** Read whether the machine with this id was merged into another one, by the last entry of its history. */
async function readMerge(id: number): Promise<Merge | null> {
  const page = await data(api.GET('/changes', { params: { query: { machine_id: id, limit: 1000 } } }));
  const last = page.items.at(-1);
  const [name, into] = (last?.op === 'merge' && last.changes.name) || [];
  return last && name === last.key ? { name, into: into as string } : null;
}

async function readLogs(query: string): Promise<FullLog[]> {
  const page = await data(api.GET('/logs', { querySerializer: () => query }));
  return page.items as FullLog[];
}

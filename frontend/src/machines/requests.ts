import { api, data, type Log, type Machine, type Schemas } from '../api/client';
import type { Target } from '../offline/outbox.svelte';
import type { StoredRecord } from '../offline/queue';
import { formatQuery, setParam, type QueryPair } from '../router/query';

export interface Activity {
  last_log_at: string | null;
  open_logs: number;
  logs_30d: number;
}

/** A machine in a list, with a summary of its logs. */
export type Row = Machine & { expanded?: { activity?: Activity } };

/** A log whose machine stop has not ended. */
export type OngoingStop = Pick<Log, 'uuid' | 'machine' | 'type' | 'severity' | 'comment' | 'down_from'>;

/** A log that is not done. */
export type OpenLog = Pick<Log, 'uuid' | 'machine' | 'type' | 'severity' | 'comment' | 'started_at'>;

/** A log as the timeline of a machine draws it. */
export type TimelineLog = Pick<Log, 'uuid' | 'type' | 'status' | 'started_at' | 'down_from' | 'down_to' | 'down_kind' | 'comment'>;

export interface TimelineLogs {
  items: TimelineLog[];
  /** Whether there are logs that are not among the items. */
  more: boolean;
}

export interface StatsGroup extends Record<string, unknown> {
  count: number;
  failures: number;
  downtime: number;
}

const IS_STOPPED: QueryPair[] = [
  ['down_from__isnull', 'false'],
  ['down_to__isnull', 'true'],
];
const MAX_LIMIT = '500';

export async function readMachines(pairs: readonly QueryPair[]): Promise<{ items: Row[]; next: string | null; total: number | null }> {
  const query = formatQuery(setParam(pairs, 'expand', 'activity')).slice(1);
  return (await data(api.GET('/machines', { querySerializer: () => query }))) as never;
}

/** Read some fields of all machines, for lists of choices. */
export async function readAllMachines<F extends keyof Machine>(...fields: F[]): Promise<Pick<Machine, F>[]> {
  const machines: Pick<Machine, F>[] = [];
  let cursor: string | null = null;
  do {
    const pairs: QueryPair[] = [['fields', fields.join()], ['limit', MAX_LIMIT], ...(cursor ? [['cursor', cursor] as const] : [])];
    const query = formatQuery(pairs).slice(1);
    const page: Schemas['MachinePage'] = await data(api.GET('/machines', { querySerializer: () => query }));
    machines.push(...(page.items as Pick<Machine, F>[]));
    cursor = page.next ?? null;
  } while (cursor);
  return machines;
}

/** Read some fields of the first logs that match, and whether there are more. */
async function readLogFields<T>(fields: string, pairs: readonly QueryPair[]): Promise<{ items: T[]; more: boolean }> {
  const query = formatQuery([...pairs, ['fields', fields], ['limit', MAX_LIMIT]]).slice(1);
  const page = await data(api.GET('/logs', { querySerializer: () => query }));
  return { items: page.items as T[], more: page.next !== null };
}

/** Read the ongoing stops of all machines or of those that the filters choose, the longest first. */
export async function readOngoingStops(...filter: QueryPair[]): Promise<OngoingStop[]> {
  return (await readLogFields<OngoingStop>('uuid,machine,type,severity,comment,down_from', [...filter, ...IS_STOPPED, ['sort', 'down_from']])).items;
}

/** Read some fields of logs, and how many logs there are. */
export async function readCounted<T>(fields: string, pairs: readonly QueryPair[]): Promise<{ items: T[]; total: number; total_capped: boolean }> {
  const query = formatQuery([...pairs, ['fields', fields], ['count', 'capped']]).slice(1);
  return (await data(api.GET('/logs', { querySerializer: () => query }))) as never;
}

/** Read the logs of a machine since a day, and older logs whose stop ended after that day or has not ended. */
export async function readTimelineLogs(machine: string, since: string): Promise<TimelineLogs> {
  const fields = 'uuid,type,status,started_at,down_from,down_to,down_kind,comment';
  const filter: QueryPair = ['machine', machine];
  const pages = await Promise.all([
    readLogFields<TimelineLog>(fields, [filter, ['started_at__gte', since]]),
    readLogFields<TimelineLog>(fields, [filter, ['down_to__gte', since]]),
    readLogFields<TimelineLog>(fields, [filter, ...IS_STOPPED]),
  ]);
  const logs = pages.flatMap(({ items }) => items);
  return { items: [...new Map(logs.map((log) => [log.uuid, log])).values()], more: pages.some(({ more }) => more) };
}

export async function readStats(groupBy: string, metrics: string, pairs: readonly QueryPair[]): Promise<StatsGroup[]> {
  const query = formatQuery([['group_by', groupBy], ['metrics', metrics], ...pairs]).slice(1);
  return (await data(api.GET('/logs/stats', { querySerializer: () => query }))).groups as StatsGroup[];
}

/** Read the seconds of downtime of each machine, in the stops that began in the last 30 days. */
export async function readDowntimes(): Promise<Map<string, number>> {
  const groups = await readStats('machine', 'downtime', [['down_from__gte', '-30d']]);
  return new Map(groups.map(({ machine, downtime }) => [machine as string, downtime]));
}

export async function readMachine(name: string): Promise<Row> {
  return (await data(api.GET('/machines/{name}', { params: { path: { name }, query: { expand: 'activity' } } }))) as Row;
}

/** The machine for the outbox. Its stored name differs from its own if a new name waits to be sent. */
export function machineTarget(machine: Machine, storedName: string): Target {
  return { resource: 'machines', key: storedName, base: machine as unknown as StoredRecord };
}

export async function createMachine(body: Schemas['MachineCreate']): Promise<Machine> {
  return (await data(api.POST('/machines', { body } as never))) as Machine;
}

/** Move all logs of this version of a machine to another machine, and delete it. Returns the other one. */
export async function mergeMachine(machine: Machine, into: string): Promise<Machine> {
  const params = { path: { name: machine.name }, header: { 'If-Match': `"${machine.version}"` } };
  return (await data(api.POST('/machines/{name}/merge', { params, body: { into } } as never))) as Machine;
}

import { api, data, type Log, type Machine, type Schemas } from '../api/client';
import { print, set, type Pair } from '../router/query';

export interface Activity {
  last_log_at: string | null;
  open_logs: number;
  logs_30d: number;
}

/** A machine of a list, with what its logs say of it. */
export type Row = Machine & { expanded?: { activity?: Activity } };

/** A log by which a machine stands. */
export type Stop = Pick<Log, 'uuid' | 'machine' | 'type' | 'severity' | 'comment' | 'down_from'>;

/** What the pictures of a machine are drawn from. */
export type Moment = Pick<Log, 'uuid' | 'type' | 'started_at' | 'down_from' | 'down_to' | 'comment'>;

export interface Moments {
  items: Moment[];
  more: boolean;
}

export interface Group extends Record<string, unknown> {
  count: number;
  failures: number;
  downtime: number;
}

const STANDS: Pair[] = [
  ['down_from__isnull', 'false'],
  ['down_to__isnull', 'true'],
];
const MOST = '500';

export async function readMachines(pairs: readonly Pair[]): Promise<{ items: Row[]; next: string | null; total: number | null }> {
  const query = print(set(pairs, 'expand', 'activity')).slice(1);
  return (await data(api.GET('/machines', { querySerializer: () => query }))) as never;
}

/** All machines, in few words each: for a choice among them. */
export async function readAll<F extends keyof Machine>(...fields: F[]): Promise<Pick<Machine, F>[]> {
  const found: Pick<Machine, F>[] = [];
  let cursor: string | null = null;
  do {
    const pairs: Pair[] = [['fields', fields.join()], ['limit', MOST], ...(cursor ? [['cursor', cursor] as const] : [])];
    const query = print(pairs).slice(1);
    const page: Schemas['MachinePage'] = await data(api.GET('/machines', { querySerializer: () => query }));
    found.push(...(page.items as Pick<Machine, F>[]));
    cursor = page.next ?? null;
  } while (cursor);
  return found;
}

/** The logs of any kind that these pairs choose, some fields of each, and whether there are more. */
async function readSome<T>(fields: string, pairs: readonly Pair[]): Promise<{ items: T[]; more: boolean }> {
  const query = print([...pairs, ['fields', fields], ['limit', MOST]]).slice(1);
  const page = await data(api.GET('/logs', { querySerializer: () => query }));
  return { items: page.items as T[], more: page.next !== null };
}

/** By which logs machines stand now, or this one: the one that stands longest comes first. */
export async function readStops(machine?: string): Promise<Stop[]> {
  const own: Pair[] = machine === undefined ? [] : [['machine', machine]];
  return (await readSome<Stop>('uuid,machine,type,severity,comment,down_from', [...own, ...STANDS, ['sort', 'down_from']])).items;
}

/** What happened on a machine since a day, what stops reach beyond it, and whether that is not all. */
export async function readMoments(machine: string, since: string): Promise<Moments> {
  const fields = 'uuid,type,started_at,down_from,down_to,comment';
  const own: Pair = ['machine', machine];
  const found = await Promise.all([
    readSome<Moment>(fields, [own, ['started_at__gte', since]]),
    readSome<Moment>(fields, [own, ['down_to__gte', since]]),
    readSome<Moment>(fields, [own, ...STANDS]),
  ]);
  const moments = found.flatMap(({ items }) => items);
  return { items: [...new Map(moments.map((moment) => [moment.uuid, moment])).values()], more: found.some(({ more }) => more) };
}

export async function readStats(groupBy: string, metrics: string, pairs: readonly Pair[]): Promise<Group[]> {
  const query = print([['group_by', groupBy], ['metrics', metrics], ...pairs]).slice(1);
  return (await data(api.GET('/logs/stats', { querySerializer: () => query }))).groups as Group[];
}

/** The causes that the newest logs of a machine name, and whether there are older ones beyond. */
export async function readCauses(machine: string): Promise<{ causes: string[]; more: boolean }> {
  const query = print([['machine', machine], ['cause__isnull', 'false'], ['fields', 'cause'], ['limit', MOST]]).slice(1);
  const page = await data(api.GET('/logs', { querySerializer: () => query }));
  const causes = page.items.map((item) => item.cause as string).filter((cause) => cause.trim());
  return { causes, more: page.next !== null };
}

export async function readMachine(name: string): Promise<Row> {
  return (await data(api.GET('/machines/{name}', { params: { path: { name }, query: { expand: 'activity' } } }))) as Row;
}

/** Change some fields of a machine as it was when it had this version; throws a `Failure`, 412 with what is current. */
export async function change(machine: Machine, body: Schemas['MachineUpdate']): Promise<Machine> {
  const params = { path: { name: machine.name }, header: { 'If-Match': `"${machine.version}"` } };
  return (await data(api.PATCH('/machines/{name}', { params, body } as never))) as Machine;
}

export async function add(body: Schemas['MachineCreate']): Promise<Machine> {
  return (await data(api.POST('/machines', { body } as never))) as Machine;
}

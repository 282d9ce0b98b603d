import { ApiError } from '../api/error';
import { searchPairs } from '../logs/listQuery';
import { compareNaturally } from '../i18n/collation';
import { getFirst, type QueryPair } from '../router/query';
import { readDowntimes, readMachines, readOngoingStops, type OngoingStop, type Row } from './requests';

/** `unlisted`: a log has named the machine, and no supervisor has confirmed it. */
export const STATES = ['stopped', 'used', 'retired', 'unlisted'] as const;
export type State = (typeof STATES)[number];

/** The orders of the list. `state`, the default, puts stopped machines first; a minus sign means descending. */
export const SORTS = ['state', 'name', '-name', '-downtime', 'downtime', '-last_log', 'last_log'] as const;
export type Sort = (typeof SORTS)[number];
/** The columns that sort the list, each with its first order. Pressing the head again reverses it. */
export const SORT_COLUMNS = { name: 'name', state: 'state', downtime: '-downtime', last_log: '-last_log' } as const;

// The URL of a request has room for about this many machine names.
const MAX_NAMES = 100;
// The list is sorted here, because the API sorts `Press 10` before `Press 2`. It therefore needs all machines.
const PAGE_SIZE = '500';
const MAX_PAGES = 8;

export function stateOf(query: readonly QueryPair[]): State | null {
  return STATES.find((state) => state === getFirst(query, 'state')) ?? null;
}

export function sortOf(query: readonly QueryPair[]): Sort {
  return SORTS.find((sort) => sort === getFirst(query, 'sort')) ?? 'state';
}

/** The order that a press on a column head leads to. */
export function nextSort(current: Sort, column: keyof typeof SORT_COLUMNS): Sort {
  const first = SORT_COLUMNS[column];
  if (current !== first || first === 'state') return first;
  return first.startsWith('-') ? (first.slice(1) as Sort) : (`-${first}` as Sort);
}

/**
 * The query for the API, from the query of the page's address. The state "stopped" is not part of it:
 * machines do not store their stops, logs do.
 */
export function apiQuery(query: readonly QueryPair[]): QueryPair[] {
  const sector = getFirst(query, 'sector');
  const state = stateOf(query);
  return [
    ...searchPairs(query),
    ...(sector === undefined ? [] : [['sector', sector] as const]),
    ...(state === 'used' ? [['in_service__ne', 'false'] as const] : []),
    ...(state === 'retired' ? [['in_service', 'false'] as const] : []),
    ...(state === 'unlisted' ? [['listed', 'false'] as const] : []),
  ];
}

/** Without network, the list has no downtimes. */
function withoutNetwork(thrown: unknown): Map<string, number> {
  if (thrown instanceof ApiError && thrown.isTransient) return new Map();
  throw thrown;
}

interface Facts {
  stops: ReadonlyMap<string, OngoingStop>;
  downtimes: ReadonlyMap<string, number>;
}

/** Sort machines. Machines that are equal in the order are sorted by name. */
export function sortRows(rows: readonly Row[], sort: Sort, { stops, downtimes }: Facts): Row[] {
  const lastLog = (row: Row): number => Date.parse(row.expanded?.activity?.last_log_at ?? '') || 0;
  // The longest stop first; machines that are not stopped last.
  const stoppedSince = ({ name }: Row): number => Date.parse(stops.get(name)?.down_from ?? '') || Infinity;
  const downtime = ({ name }: Row): number => downtimes.get(name) ?? 0;
  const order: Record<Sort, (a: Row, b: Row) => number> = {
    state: (a, b) => (stoppedSince(a) === stoppedSince(b) ? 0 : stoppedSince(a) - stoppedSince(b)),
    name: () => 0,
    '-name': (a, b) => compareNaturally(b.name, a.name),
    downtime: (a, b) => downtime(a) - downtime(b),
    '-downtime': (a, b) => downtime(b) - downtime(a),
    last_log: (a, b) => lastLog(a) - lastLog(b),
    '-last_log': (a, b) => lastLog(b) - lastLog(a),
  };
  return [...rows].sort((a, b) => order[sort](a, b) || compareNaturally(a.name, b.name));
}

/** The list of machines, with their ongoing stops and their downtime in the last 30 days. */
export class MachineList {
  #rows = $state.raw<readonly Row[]>([]);
  #sort = $state<Sort>('state');
  /** The ongoing stop of each stopped machine, by machine name. */
  stops = $state.raw<ReadonlyMap<string, OngoingStop>>(new Map());
  /** The seconds of downtime, by machine name. */
  downtimes = $state.raw<ReadonlyMap<string, number>>(new Map());
  rows = $derived(sortRows(this.#rows, this.#sort, { stops: this.stops, downtimes: this.downtimes }));
  /** The number of machines that match; null before the first response. */
  total = $state<number | null>(null);
  isLoaded = $state(false);
  error = $state.raw<ApiError | null>(null);
  #query = '';
  /** The query that the rows answer. */
  #answeredQuery: string | null = null;

  async load(query: readonly QueryPair[]): Promise<void> {
    const queryText = JSON.stringify(query);
    this.#query = queryText;
    try {
      const [stops, downtimes] = await Promise.all([readOngoingStops(), readDowntimes().catch(withoutNetwork)]);
      // If a machine has several ongoing stops, show the longest.
      const byName = new Map(stops.reverse().map((stop) => [stop.machine, stop]));
      const names = [...byName.keys()].reverse().slice(0, MAX_NAMES);
      const isStoppedOnly = stateOf(query) === 'stopped';
      const filters = [...apiQuery(query), ...(isStoppedOnly ? names.map((name) => ['name', name] as const) : [])];
      const list = isStoppedOnly && !names.length ? { rows: [], total: 0 } : await readAllRows(filters);
      if (queryText !== this.#query) return;
      [this.stops, this.downtimes, this.#sort, this.#rows, this.total] = [byName, downtimes, sortOf(query), list.rows, list.total];
      this.error = null;
      this.#answeredQuery = queryText;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      if (queryText !== this.#query) return;
      // Machines that are on screen stay there if only the network is gone. The bar says so.
      this.error = thrown.isTransient && queryText === this.#answeredQuery ? null : thrown;
    }
    this.isLoaded = true;
  }
}

async function readAllRows(filters: readonly QueryPair[]): Promise<{ rows: Row[]; total: number }> {
  const rows: Row[] = [];
  let cursor: string | null = null;
  let total = 0;
  for (let page = 0; page < MAX_PAGES && (page === 0 || cursor !== null); page += 1) {
    const position: QueryPair = cursor === null ? ['count', 'exact'] : ['cursor', cursor];
    const found: Awaited<ReturnType<typeof readMachines>> = await readMachines([...filters, ['limit', PAGE_SIZE], position]);
    rows.push(...found.items);
    total ||= found.total ?? 0;
    cursor = found.next;
  }
  return { rows, total };
}

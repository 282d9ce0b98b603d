import { ApiError } from '../api/error';
import { toSearchExpression } from '../logs/listQuery';
import { getFirst, setParam, type QueryPair } from '../router/query';
import { readMachines, readOngoingStops, type OngoingStop, type Row } from './requests';

export const STATES = ['stopped', 'used', 'retired'] as const;
export type State = (typeof STATES)[number];

// The URL of a request has room for about this many machine names.
const MAX_NAMES = 100;
const PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 500;

export function stateOf(query: readonly QueryPair[]): State | null {
  return STATES.find((state) => state === getFirst(query, 'state')) ?? null;
}

/**
 * The query for the API, from the query of the page's address. The state "stopped" is not part of it:
 * machines do not store their stops, logs do.
 */
export function apiQuery(query: readonly QueryPair[]): QueryPair[] {
  const words = toSearchExpression(getFirst(query, 'q') ?? '').trim();
  const sector = getFirst(query, 'sector');
  const state = stateOf(query);
  return [
    ...(words ? [['q', words] as const] : []),
    ...(sector === undefined ? [] : [['sector', sector] as const]),
    ...(state === 'used' ? [['in_service__ne', 'false'] as const] : []),
    ...(state === 'retired' ? [['in_service', 'false'] as const] : []),
  ];
}

/** The list of machines: stopped machines first, then the others by name. */
export class MachineList {
  rows = $state.raw<Row[]>([]);
  /** The ongoing stop of each stopped machine, by machine name. */
  stops = $state.raw<ReadonlyMap<string, OngoingStop>>(new Map());
  total = $state<number | null>(null);
  next = $state<string | null>(null);
  isLoaded = $state(false);
  error = $state.raw<ApiError | null>(null);
  #query = '';

  async load(query: readonly QueryPair[]): Promise<void> {
    const queryText = JSON.stringify(query);
    // When the same list is reloaded, ask for at least as many rows as it shows.
    const size = queryText === this.#query ? Math.min(MAX_PAGE_SIZE, Math.max(PAGE_SIZE, this.rows.length)) : PAGE_SIZE;
    this.#query = queryText;
    try {
      const pairs = apiQuery(query);
      const stops = await readOngoingStops();
      // If a machine has several ongoing stops, show the longest.
      const byName = new Map(stops.reverse().map((stop) => [stop.machine, stop]));
      const names = [...byName.keys()].reverse().slice(0, MAX_NAMES);
      const none = { items: [] as Row[], next: null, total: 0 };
      const [stopped, others] = await Promise.all([
        names.length ? readMachines([...pairs, ...names.map((name) => ['name', name] as const), ['limit', String(PAGE_SIZE)]]) : none,
        stateOf(query) === 'stopped' ? none : readMachines([...pairs, ['limit', String(size)], ['count', 'exact']]),
      ]);
      if (queryText !== this.#query) return;
      const stoppedNames = new Set(stopped.items.map(({ name }) => name));
      this.stops = byName;
      this.rows = [...stopped.items, ...others.items.filter(({ name }) => !stoppedNames.has(name))];
      this.next = others.next;
      this.total = stateOf(query) === 'stopped' ? stopped.items.length : others.total;
      this.error = null;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      if (queryText === this.#query) this.error = thrown;
    }
    this.isLoaded = true;
  }

  async loadNext(query: readonly QueryPair[]): Promise<void> {
    if (!this.next) return;
    const page = await readMachines(setParam([...apiQuery(query), ['limit', String(PAGE_SIZE)]], 'cursor', this.next));
    const shown = new Set(this.rows.map(({ name }) => name));
    this.rows = [...this.rows, ...page.items.filter(({ name }) => !shown.has(name))];
    this.next = page.next;
  }
}

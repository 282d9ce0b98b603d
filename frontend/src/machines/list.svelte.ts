import { Failure } from '../api/failure';
import { searched } from '../logs/view';
import { first, set, type Pair } from '../router/query';
import { readMachines, readStops, type Row, type Stop } from './requests';

export const STATES = ['stopped', 'used', 'retired'] as const;
export type State = (typeof STATES)[number];

// As many as an address can name at once.
const MOST_NAMED = 100;
const PAGE = 100;
const LARGEST_PAGE = 500;

export function stateOf(query: readonly Pair[]): State | null {
  return STATES.find((state) => state === first(query, 'state')) ?? null;
}

/** What the API is asked for the machines at an address; that one is stopped is known by its logs. */
export function asked(query: readonly Pair[]): Pair[] {
  const words = searched(first(query, 'q') ?? '').trim();
  const sector = first(query, 'sector');
  const state = stateOf(query);
  return [
    ...(words ? [['q', words] as const] : []),
    ...(sector === undefined ? [] : [['sector', sector] as const]),
    ...(state === 'used' ? [['in_service__ne', 'false'] as const] : []),
    ...(state === 'retired' ? [['in_service', 'false'] as const] : []),
  ];
}

/** The machines of a view: those that stand first, then the others by name. */
export class MachineList {
  rows = $state.raw<Row[]>([]);
  /** By which log each machine stands that does. */
  stops = $state.raw<ReadonlyMap<string, Stop>>(new Map());
  total = $state<number | null>(null);
  next = $state<string | null>(null);
  ready = $state(false);
  failure = $state.raw<Failure | null>(null);
  #question = '';

  async load(query: readonly Pair[]): Promise<void> {
    const question = JSON.stringify(query);
    // Read again for what changed, a list is no shorter than it was.
    const size = question === this.#question ? Math.min(LARGEST_PAGE, Math.max(PAGE, this.rows.length)) : PAGE;
    this.#question = question;
    try {
      const pairs = asked(query);
      const stops = await readStops();
      // Of several stops of one machine, the one that lasts longest counts.
      const byName = new Map(stops.reverse().map((stop) => [stop.machine, stop]));
      const names = [...byName.keys()].reverse().slice(0, MOST_NAMED);
      const none = { items: [] as Row[], next: null, total: 0 };
      const [standing, others] = await Promise.all([
        names.length ? readMachines([...pairs, ...names.map((name) => ['name', name] as const), ['limit', String(PAGE)]]) : none,
        stateOf(query) === 'stopped' ? none : readMachines([...pairs, ['limit', String(size)], ['count', 'exact']]),
      ]);
      if (question !== this.#question) return;
      const known = new Set(standing.items.map(({ name }) => name));
      this.stops = byName;
      this.rows = [...standing.items, ...others.items.filter(({ name }) => !known.has(name))];
      this.next = others.next;
      this.total = stateOf(query) === 'stopped' ? standing.items.length : others.total;
      this.failure = null;
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      if (question === this.#question) this.failure = thrown;
    }
    this.ready = true;
  }

  async more(query: readonly Pair[]): Promise<void> {
    if (!this.next) return;
    const page = await readMachines(set([...asked(query), ['limit', String(PAGE)]], 'cursor', this.next));
    const known = new Set(this.rows.map(({ name }) => name));
    this.rows = [...this.rows, ...page.items.filter(({ name }) => !known.has(name))];
    this.next = page.next;
  }
}

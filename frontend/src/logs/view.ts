import { all, first, set, without, type Pair } from '../router/query';

/** What the address of the list says beyond the API's own filters. */
const OURS = ['columns'];
const NOT_FILTERS = ['q', 'sort', ...OURS];

export const FACETS = ['type', 'machine', 'severity', 'status', 'user'] as const;
export type Facet = (typeof FACETS)[number];
export const NEWEST = '-started_at';
export const COLUMNS = ['type', 'user', 'took', 'stop', 'project', 'machine.sector', 'cause', 'action'] as const;
export type Column = (typeof COLUMNS)[number];
const SHOWN: Column[] = ['type', 'user', 'took', 'stop', 'project'];
export const NOBODY = null;

/**
 * What is asked while somebody types. The last word may go on, so it is asked for as a beginning, once it has two letters;
 * a blank or a quote after it ends it.
 */
export function searched(typed: string): string {
  const isQuoted = typed.split('"').length % 2 === 0;
  const last = /(?:^|\s)-?([\p{L}\p{N}]+)$/u.exec(typed);
  if (isQuoted || !last) return typed;
  return last[1]!.length > 1 ? `${typed}*` : typed.slice(0, last.index);
}

/** What the API is asked for the list at an address; exports and facets ask the same. */
export function asked(query: readonly Pair[]): Pair[] {
  return without(query, ...OURS).flatMap(([name, value]): Pair[] => {
    if (name !== 'q') return [[name, value]];
    return searched(value).trim() ? [[name, searched(value)]] : [];
  });
}

export function isFiltered(query: readonly Pair[]): boolean {
  return without(asked(query), 'sort').length > 0;
}

/** The filters as chips: the pairs of a field belong together, but for the two ends of a time. */
export function chips(query: readonly Pair[]): Pair[][] {
  const groups = new Map<string, Pair[]>();
  for (const pair of without(query, ...NOT_FILTERS)) {
    const name = pair[0].startsWith('down_') ? 'stop' : pair[0].startsWith('started_at__') ? 'date' : pair[0];
    groups.set(name, [...(groups.get(name) ?? []), pair]);
  }
  return [...groups.values()];
}

export function remove(query: readonly Pair[], pairs: readonly Pair[]): Pair[] {
  return without(query, ...pairs.map(([name]) => name));
}

/** The values of a facet that are chosen; null stands for having none. */
export function chosen(query: readonly Pair[], facet: Facet): (string | null)[] {
  return first(query, `${facet}__isnull`) === 'true' ? [NOBODY] : all(query, facet);
}

/** The query with a value of a facet chosen, or no longer. Values are alternatives; to have none is one by itself. */
export function toggle(query: readonly Pair[], facet: Facet, value: string | null): Pair[] {
  const before = chosen(query, facet);
  const bare = without(query, facet, `${facet}__isnull`);
  if (value === NOBODY) return before.includes(NOBODY) ? bare : [...bare, [`${facet}__isnull`, 'true']];
  const after = before.includes(value) ? before.filter((one) => one !== value) : [...before, value];
  return set(without(query, `${facet}__isnull`), facet, ...after.filter((one) => one !== NOBODY));
}

export type Stop = 'any' | 'still';
const STOPS: Record<Stop, Pair[]> = {
  any: [['down_from__isnull', 'false']],
  still: [
    ['down_from__isnull', 'false'],
    ['down_to__isnull', 'true'],
  ],
};

export function stop(query: readonly Pair[]): Stop | null {
  if (first(query, 'down_from__isnull') !== 'false') return null;
  return first(query, 'down_to__isnull') === 'true' ? 'still' : 'any';
}

export function withStop(query: readonly Pair[], kind: Stop | null): Pair[] {
  const rest = without(query, 'down_from__isnull', 'down_to__isnull');
  return kind === null ? rest : [...rest, ...STOPS[kind]];
}

export function columns(query: readonly Pair[]): Column[] {
  const given = first(query, 'columns')?.split(',');
  return given ? COLUMNS.filter((column) => given.includes(column)) : SHOWN;
}

export function withColumn(query: readonly Pair[], column: Column): Pair[] {
  const before = columns(query);
  const after = COLUMNS.filter((one) => before.includes(one) !== (one === column));
  return after.join() === SHOWN.join() ? without(query, 'columns') : set(query, 'columns', after.join());
}

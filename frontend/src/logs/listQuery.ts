import { hasLetterWord } from './highlight';
import { getAll, getFirst, omit, setParam, type QueryPair } from '../router/query';

/** Parameters of the page's address that only the console understands; the API does not get them. */
const COLUMNS_PARAMETER = 'columns';
/** With `true`, what is typed is found inside words. */
export const INSIDE = 'inside';
const CONSOLE_ONLY = [COLUMNS_PARAMETER, INSIDE];
const NOT_FILTERS = ['q', 'sort', COLUMNS_PARAMETER];

export const FACETS = ['type', 'machine', 'severity', 'status', 'user'] as const;
export type Facet = (typeof FACETS)[number];
/** The field whose values are chosen as those of a facet are, but are not counted. */
export const DOWN_KIND = 'down_kind';
type Choice = Facet | typeof DOWN_KIND;
export const DEFAULT_SORT = '-started_at';
export const COLUMNS = ['type', 'user', 'took', 'stop', 'project', 'machine.sector', 'cause', 'action'] as const;
export type Column = (typeof COLUMNS)[number];
const DEFAULT_COLUMNS: Column[] = ['type', 'user', 'took', 'stop', 'project'];
/** The facet value of logs that have no value in the field. */
export const NO_VALUE = null;

/**
 * The search expression for text that the user is still typing. The last word becomes a prefix (`PN-0` becomes `PN-0*`), unless a
 * space or a quote ends it. While it has one letter only, it is left out, except in scripts where one letter is a word (Chinese).
 */
export function toSearchExpression(typed: string): string {
  const isQuoted = typed.split('"').length % 2 === 0;
  const last = /(?:^|\s)-?([^\s"]*[\p{L}\p{N}]\p{M}*)$/u.exec(typed);
  if (isQuoted || !last) return typed;
  const letters = last[1]!.match(/[\p{L}\p{N}]/gu)!;
  return letters.length > 1 || hasLetterWord(last[1]!) ? `${typed}*` : typed.slice(0, last.index);
}

/** The texts to search for inside words: what is typed, without the signs of phrases and prefixes, and without excluded words. */
export function insideWords(typed: string): string[] {
  return typed.split(/\s+/).filter((word) => !word.startsWith('-')).map((word) => word.replace(/["*]/g, '')).filter(Boolean);
}

/** The search of a page's address for the API: whole words and prefixes, or with `inside=true` any part of a text. */
export function searchPairs(query: readonly QueryPair[]): QueryPair[] {
  const typed = getFirst(query, 'q') ?? '';
  if (getFirst(query, INSIDE) === 'true') return insideWords(typed).map((word) => ['q__contains', word]);
  const words = toSearchExpression(typed);
  return words.trim() ? [['q', words]] : [];
}

/** The query of the address with the search for parts of words, which is offered where the words find nothing; null where it is not. */
export function withSearchInside(query: readonly QueryPair[]): QueryPair[] | null {
  const canSearch = getFirst(query, INSIDE) !== 'true' && insideWords(getFirst(query, 'q') ?? '').length > 0;
  return canSearch ? setParam(query, INSIDE, 'true') : null;
}

/** The query that the list, its exports and its facets send to the API, from the query of the page's address. */
export function apiQuery(query: readonly QueryPair[]): QueryPair[] {
  return omit(query, ...CONSOLE_ONLY).flatMap((pair): QueryPair[] => (pair[0] === 'q' ? searchPairs(query) : [pair]));
}

export function isFiltered(query: readonly QueryPair[]): boolean {
  return omit(apiQuery(query), 'sort').length > 0;
}

/** The filters grouped into chips: one for the machine stop, one for the start date, and one for each other parameter. */
export function filterChips(query: readonly QueryPair[]): QueryPair[][] {
  const groups = new Map<string, QueryPair[]>();
  for (const pair of omit(query, ...NOT_FILTERS)) {
    const name = /^down_(from|to)/.test(pair[0]) ? 'stop' : pair[0].startsWith('started_at__') ? 'date' : pair[0];
    groups.set(name, [...(groups.get(name) ?? []), pair]);
  }
  return [...groups.values()];
}

export function removeFilters(query: readonly QueryPair[], pairs: readonly QueryPair[]): QueryPair[] {
  return omit(query, ...pairs.map(([name]) => name));
}

/** The values of a facet that the user selected. */
export function selectedValues(query: readonly QueryPair[], facet: Choice): (string | null)[] {
  return getFirst(query, `${facet}__isnull`) === 'true' ? [NO_VALUE] : getAll(query, facet);
}

/** Select a facet value, or clear it if it is selected. Several values are alternatives; `NO_VALUE` excludes the others. */
export function toggleValue(query: readonly QueryPair[], facet: Choice, value: string | null): QueryPair[] {
  const before = selectedValues(query, facet);
  const rest = omit(query, facet, `${facet}__isnull`);
  if (value === NO_VALUE) return before.includes(NO_VALUE) ? rest : [...rest, [`${facet}__isnull`, 'true']];
  const after = before.includes(value) ? before.filter((one) => one !== value) : [...before, value];
  return setParam(omit(query, `${facet}__isnull`), facet, ...after.filter((one) => one !== NO_VALUE));
}

/** Logs with any machine stop, or only those whose stop has not ended. */
export type StopFilter = 'any' | 'ongoing';
const STOP_FILTERS: Record<StopFilter, QueryPair[]> = {
  any: [['down_from__isnull', 'false']],
  ongoing: [
    ['down_from__isnull', 'false'],
    ['down_to__isnull', 'true'],
  ],
};

export function stopFilter(query: readonly QueryPair[]): StopFilter | null {
  if (getFirst(query, 'down_from__isnull') !== 'false') return null;
  return getFirst(query, 'down_to__isnull') === 'true' ? 'ongoing' : 'any';
}

export function withStopFilter(query: readonly QueryPair[], filter: StopFilter | null): QueryPair[] {
  const rest = omit(query, 'down_from__isnull', 'down_to__isnull');
  return filter === null ? rest : [...rest, ...STOP_FILTERS[filter]];
}

export function visibleColumns(query: readonly QueryPair[]): Column[] {
  const given = getFirst(query, COLUMNS_PARAMETER)?.split(',');
  return given ? COLUMNS.filter((column) => given.includes(column)) : DEFAULT_COLUMNS;
}

/** Show or hide a column. The default columns are not written to the address. */
export function toggleColumn(query: readonly QueryPair[], column: Column): QueryPair[] {
  const before = visibleColumns(query);
  const after = COLUMNS.filter((one) => before.includes(one) !== (one === column));
  return after.join() === DEFAULT_COLUMNS.join() ? omit(query, COLUMNS_PARAMETER) : setParam(query, COLUMNS_PARAMETER, after.join());
}

import { expect, test } from 'vitest';
import { parseQuery, formatQuery } from '../src/router/query';
import { apiQuery, filterChips, selectedValues, visibleColumns, removeFilters, toSearchExpression, stopFilter, toggleValue, toggleColumn, withSearchInside, withStopFilter } from '../src/logs/listQuery';

test.each([
  ['broche', 'broche*'],
  ['broche bru', 'broche bru*'],
  ['broche ', 'broche '],
  ['b', ''],
  ['broche b', 'broche'],
  ['broche b ', 'broche b '],
  ['"bruit de', '"bruit de'],
  ['"bruit de broche"', '"bruit de broche"'],
  ['PN', 'PN*'],
  ['PN-', 'PN-'],
  ['PN-0', 'PN-0*'],
  ['PN-004', 'PN-004*'],
  ['PN-0042', 'PN-0042*'],
  ["fuite d'", "fuite d'"],
  ["fuite d'h", "fuite d'h*"],
  ['.5', ''],
  ['-h', ''],
  ['轴', '轴*'],
  ['PN轴承', 'PN轴承*'],
  ['กี่', 'กี่*'],
  ['"bruit de"x', '"bruit de"x'],
  ['-pièce', '-pièce*'],
  ['gear*', 'gear*'],
])('the typed text %s becomes the search expression %s', (typed, asks) => expect(toSearchExpression(typed)).toBe(asks));

test('the API gets the query of the address without the console-only parameters', () => {
  const query = parseQuery('?q=broche&type=error&columns=type&machine.sector=1A&sort=machine');
  expect(formatQuery(apiQuery(query))).toBe('?q=broche*&type=error&machine.sector=1A&sort=machine');
  expect(formatQuery(apiQuery(parseQuery('?q=+')))).toBe('');
});

test('values of a facet can be combined; "no value" excludes them', () => {
  const two = toggleValue(toggleValue([], 'user', 'ABC'), 'user', 'DEF');
  expect(selectedValues(two, 'user')).toEqual(['ABC', 'DEF']);
  expect(toggleValue(two, 'user', 'ABC')).toEqual([['user', 'DEF']]);
  const none = toggleValue(two, 'user', null);
  expect(none).toEqual([['user__isnull', 'true']]);
  expect(toggleValue(none, 'user', 'ABC')).toEqual([['user', 'ABC']]);
  expect(toggleValue(none, 'user', null)).toEqual([]);
});

test('a chip groups the filters of one field and removes them together', () => {
  const query = parseQuery('?q=x&type=a&started_at__gte=-7d&type=b&started_at__lte=today&down_from__isnull=false&down_to__isnull=true');
  const groups = filterChips(query);
  expect(groups.map((pairs) => pairs.length)).toEqual([2, 2, 2]);
  expect(formatQuery(removeFilters(query, groups.flat()))).toBe('?q=x');
});

test('the stop filter is set, read and removed', () => {
  expect(stopFilter(withStopFilter([], 'ongoing'))).toBe('ongoing');
  expect(stopFilter(withStopFilter(withStopFilter([], 'ongoing'), 'any'))).toBe('any');
  expect(withStopFilter(withStopFilter([], 'ongoing'), null)).toEqual([]);
});

test('the default columns are not written to the address', () => {
  const fewer = toggleColumn([], 'project');
  expect(visibleColumns(fewer)).toEqual(['type', 'user', 'took', 'stop']);
  expect(toggleColumn(fewer, 'project')).toEqual([]);
});

test('words that find nothing can be searched for inside of words', () => {
  const query = parseQuery('?q=7711+-spare+"ab*"&type=error');
  const inside = withSearchInside(query)!;
  expect(formatQuery(inside)).toBe('?q=7711+-spare+%22ab*%22&type=error&inside=true');
  expect(apiQuery(inside)).toEqual([['q__contains', '7711'], ['q__contains', 'ab'], ['type', 'error']]);
  expect(filterChips(inside).flat()).toContainEqual(['inside', 'true']);
  expect(withSearchInside(inside)).toBeNull();
  expect(withSearchInside(parseQuery('?q=-spare'))).toBeNull();
  expect(withSearchInside(parseQuery('?type=error'))).toBeNull();
});

test('kinds of stops are chosen like the values of a facet, and have a chip of their own', () => {
  const query = toggleValue(parseQuery('?down_from__isnull=false&down_to__isnull=true'), 'down_kind', 'external');
  expect(formatQuery(query)).toBe('?down_from__isnull=false&down_to__isnull=true&down_kind=external');
  expect(filterChips(query).map((pairs) => pairs.length)).toEqual([2, 1]);
  expect(selectedValues(toggleValue(query, 'down_kind', null), 'down_kind')).toEqual([null]);
});

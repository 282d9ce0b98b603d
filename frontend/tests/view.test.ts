import { expect, test } from 'vitest';
import { parse, print } from '../src/router/query';
import { asked, chips, chosen, columns, remove, searched, stop, toggle, withColumn, withStop } from '../src/logs/view';

test.each([
  ['broche', 'broche*'],
  ['broche bru', 'broche bru*'],
  ['broche ', 'broche '],
  ['b', ''],
  ['broche b', 'broche'],
  ['broche b ', 'broche b '],
  ['"bruit de', '"bruit de'],
  ['"bruit de broche"', '"bruit de broche"'],
  ['PN-0042', 'PN-0042'],
  ['-pièce', '-pièce*'],
  ['gear*', 'gear*'],
])('what is typed %s is asked as %s', (typed, asks) => expect(searched(typed)).toBe(asks));

test('the API is asked what the address says, and nothing of the page alone', () => {
  const query = parse('?q=broche&type=error&columns=type&machine.sector=1A&sort=machine');
  expect(print(asked(query))).toBe('?q=broche*&type=error&machine.sector=1A&sort=machine');
  expect(print(asked(parse('?q=+')))).toBe('');
});

test('values of a facet are alternatives, and to have none is one by itself', () => {
  const two = toggle(toggle([], 'user', 'ABC'), 'user', 'DEF');
  expect(chosen(two, 'user')).toEqual(['ABC', 'DEF']);
  expect(toggle(two, 'user', 'ABC')).toEqual([['user', 'DEF']]);
  const none = toggle(two, 'user', null);
  expect(none).toEqual([['user__isnull', 'true']]);
  expect(toggle(none, 'user', 'ABC')).toEqual([['user', 'ABC']]);
  expect(toggle(none, 'user', null)).toEqual([]);
});

test('a chip holds what belongs together, and takes it all away', () => {
  const query = parse('?q=x&type=a&started_at__gte=-7d&type=b&started_at__lte=today&down_from__isnull=false&down_to__isnull=true');
  const groups = chips(query);
  expect(groups.map((pairs) => pairs.length)).toEqual([2, 2, 2]);
  expect(print(remove(query, groups.flat()))).toBe('?q=x');
});

test('stops are set, read and taken away', () => {
  expect(stop(withStop([], 'still'))).toBe('still');
  expect(stop(withStop(withStop([], 'still'), 'any'))).toBe('any');
  expect(withStop(withStop([], 'still'), null)).toEqual([]);
});

test('the usual columns need no word in the address', () => {
  const fewer = withColumn([], 'project');
  expect(columns(fewer)).toEqual(['type', 'user', 'took', 'stop']);
  expect(withColumn(fewer, 'project')).toEqual([]);
});

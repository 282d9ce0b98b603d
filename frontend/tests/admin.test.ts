import { expect, test } from 'vitest';
import { tabs } from '../src/admin/tabs';
import { all } from '../src/api/all';
import { changes, rebase, valuesOf } from '../src/forms/edits';

const BEFORE = valuesOf({ first_name: 'Ann', last_name: null, role: 'lead', active: true, version: 3 }, ['first_name', 'last_name', 'role', 'active']);

test('a form sends what differs, and an empty text as none', () => {
  expect(changes(BEFORE, BEFORE)).toEqual({});
  expect(changes(BEFORE, { ...BEFORE, first_name: ' ', last_name: ' Lee ', active: false })).toEqual({ first_name: null, last_name: 'Lee', active: false });
  expect(changes(BEFORE, { ...BEFORE, first_name: 'Ann ' })).toEqual({});
});

test('what two changed is both there, and one’s own stands where both changed the same', () => {
  const mine = { ...BEFORE, role: 'admin', last_name: 'Mine' };
  const now = { ...BEFORE, last_name: 'Theirs', first_name: 'Anne' };
  expect(rebase(BEFORE, mine, now)).toEqual({ first_name: 'Anne', last_name: 'Mine', role: 'admin', active: true });
});

test('all pages are read, in their order', async () => {
  const pages: Record<string, { items: number[]; next: string | null }> = {
    '': { items: [1, 2], next: 'b' },
    b: { items: [], next: 'c' },
    c: { items: [3], next: null },
  };
  expect(await all<number>(async (cursor) => pages[cursor ?? '']!)).toEqual([1, 2, 3]);
});

test.each([
  ['admin', {}, 'people tokens types'],
  ['admin', null, 'people types'],
  ['supervisor', {}, 'types'],
  ['lead', {}, ''],
] as const)('%s with the account %j sees %s', (role, user, names) => {
  const ranks = ['viewer', 'operator', 'lead', 'supervisor', 'admin'];
  const who = { user: user as never, may: (wanted: string) => ranks.indexOf(role) >= ranks.indexOf(wanted) };
  expect(tabs(who).map(({ home }) => home).join(' ')).toBe(names);
});

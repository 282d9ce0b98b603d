import { expect, test } from 'vitest';
import { allowedTabs } from '../src/admin/tabs';
import { readAllPages } from '../src/api/pagination';
import { patchOf, rebase, valuesOf } from '../src/forms/formValues';

const BEFORE = valuesOf({ first_name: 'Ann', last_name: null, role: 'lead', active: true, version: 3 }, ['first_name', 'last_name', 'role', 'active']);

test('a form sends only changed fields, and an empty text as null', () => {
  expect(patchOf(BEFORE, BEFORE)).toEqual({});
  expect(patchOf(BEFORE, { ...BEFORE, first_name: ' ', last_name: ' Lee ', active: false })).toEqual({ first_name: null, last_name: 'Lee', active: false });
  expect(patchOf(BEFORE, { ...BEFORE, first_name: 'Ann ' })).toEqual({});
});

test('a merge keeps the changes of both users; if both changed a field, this user wins', () => {
  const mine = { ...BEFORE, role: 'admin', last_name: 'Mine' };
  const current = { ...BEFORE, last_name: 'Theirs', first_name: 'Anne' };
  expect(rebase(BEFORE, mine, current)).toEqual({ first_name: 'Anne', last_name: 'Mine', role: 'admin', active: true });
});

test('all pages are read in order', async () => {
  const pages: Record<string, { items: number[]; next: string | null }> = {
    '': { items: [1, 2], next: 'b' },
    b: { items: [], next: 'c' },
    c: { items: [3], next: null },
  };
  expect(await readAllPages<number>(async (cursor) => pages[cursor ?? '']!)).toEqual([1, 2, 3]);
});

test.each([
  ['admin', {}, 'users tokens logTypes imports siteState'],
  ['admin', null, 'users logTypes imports siteState'],
  ['supervisor', {}, 'logTypes imports'],
  ['lead', {}, ''],
] as const)('a user with role %s and account %j sees the tabs %s', (role, user, names) => {
  const ranks = ['viewer', 'operator', 'lead', 'supervisor', 'admin'];
  const session = { user: user as never, hasRole: (wanted: string) => ranks.indexOf(role) >= ranks.indexOf(wanted) };
  expect(allowedTabs(session).map(({ home }) => home).join(' ')).toBe(names);
});

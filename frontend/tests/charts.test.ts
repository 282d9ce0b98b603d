import { expect, test } from 'vitest';
import { addDays, lastDays, lastMonths, local, monday, placeAmong } from '../src/charts/calendar';
import { between, dayAt, moved } from '../src/charts/range';
import { rank, tally } from '../src/charts/ranks';
import { fold } from '../src/logs/hits';

test('a day is one of the site, not of the browser', () => {
  const late = Date.parse('2026-03-28T23:30:00Z');
  expect(local(late, 'UTC')).toEqual({ day: '2026-03-28', share: 23.5 / 24 });
  expect(local(late, 'Europe/Paris')).toEqual({ day: '2026-03-29', share: 0.5 / 24 });
});

test('days and months go over the ends of years and leap days', () => {
  expect(addDays('2024-02-28', 1)).toBe('2024-02-29');
  expect(lastDays('2026-01-02', 3)).toEqual(['2025-12-31', '2026-01-01', '2026-01-02']);
  expect(lastMonths('2026-02-28', 3)).toEqual(['2025-12', '2026-01', '2026-02']);
  expect(['2026-11-23', '2026-11-24', '2026-11-29'].map(monday)).toEqual(['2026-11-23', '2026-11-23', '2026-11-23']);
});

test('an instant falls among days where its day is, and at their edge beyond them', () => {
  const days = lastDays('2026-03-30', 4);
  const place = (instant: string) => placeAmong(days, Date.parse(instant), 'Europe/Paris');
  expect(place('2026-03-26T23:00:00Z')).toBe(0);
  expect(place('2026-03-28T11:00:00Z')).toBe(1.5 / 4);
  // The day on which the clocks go forward takes as much room as any other.
  expect(place('2026-03-29T22:00:00Z')).toBe(3 / 4);
  expect([place('2020-01-01T00:00:00Z'), place('2030-01-01T00:00:00Z')]).toEqual([0, 1]);
});

test('the largest come first, with how far they go together of all', () => {
  const values = [1, 6, 0, 3].map((value, index) => ({ label: 'abcd'[index]!, value }));
  expect(rank(values, 2)).toEqual([
    { label: 'b', value: 6, until: 0.6 },
    { label: 'd', value: 3, until: 0.9 },
  ]);
  expect(rank([{ label: 'a', value: 0 }], 2)).toEqual([]);
});

test('texts that differ in case, accents and blanks are one, by their most usual spelling', () => {
  const found = tally(['Câble coupé', 'cable  coupé ', 'Câble coupé', 'Fuse'], fold);
  expect(found).toEqual([
    { label: 'Câble coupé', value: 3, spellings: ['Câble coupé', 'cable  coupé '] },
    { label: 'Fuse', value: 1, spellings: ['Fuse'] },
  ]);
});

test('a place on the strip is a day of it', () => {
  expect([-0.1, 0, 0.49, 0.5, 1, 1.2].map((share) => dayAt(share, 2))).toEqual([0, 0, 0, 1, 1, 1]);
  expect(between(5, 2)).toEqual([2, 5]);
});

test.each([
  [0, 'ArrowRight', [3, 5]],
  [0, 'PageUp', [5, 5]],
  [0, 'Home', [0, 5]],
  [1, 'ArrowLeft', [2, 4]],
  [1, 'End', [2, 9]],
  [1, 'PageDown', [2, 2]],
  [1, 'a', null],
] as const)('end %d moves by %s, and never past the other', (end, key, range) => {
  expect(moved([2, 5], end, key, 10)).toEqual(range);
});

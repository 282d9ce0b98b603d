import { expect, test } from 'vitest';
import { addDays, lastDays, lastMonths, localTime, mondayOf, positionInDays } from '../src/charts/calendar';
import { rangeBetween, dayAt, moveEnd } from '../src/charts/dayRange';
import { rank } from '../src/charts/ranking';

test('days are in the time zone of the site, not of the browser', () => {
  const late = Date.parse('2026-03-28T23:30:00Z');
  expect(localTime(late, 'UTC')).toEqual({ day: '2026-03-28', fraction: 23.5 / 24 });
  expect(localTime(late, 'Europe/Paris')).toEqual({ day: '2026-03-29', fraction: 0.5 / 24 });
});

test('lists of days and months cross year ends and leap days', () => {
  expect(addDays('2024-02-28', 1)).toBe('2024-02-29');
  expect(lastDays('2026-01-02', 3)).toEqual(['2025-12-31', '2026-01-01', '2026-01-02']);
  expect(lastMonths('2026-02-28', 3)).toEqual(['2025-12', '2026-01', '2026-02']);
  expect(['2026-11-23', '2026-11-24', '2026-11-29'].map(mondayOf)).toEqual(['2026-11-23', '2026-11-23', '2026-11-23']);
});

test('an instant has its position in the days, clamped to their ends', () => {
  const days = lastDays('2026-03-30', 4);
  const position = (instant: string) => positionInDays(days, Date.parse(instant), 'Europe/Paris');
  expect(position('2026-03-26T23:00:00Z')).toBe(0);
  expect(position('2026-03-28T11:00:00Z')).toBe(1.5 / 4);
  // A day with a clock change takes as much room as any other.
  expect(position('2026-03-29T22:00:00Z')).toBe(3 / 4);
  expect([position('2020-01-01T00:00:00Z'), position('2030-01-01T00:00:00Z')]).toEqual([0, 1]);
});

test('the largest values come first, with their cumulative share', () => {
  const values = [1, 6, 0, 3].map((value, index) => ({ label: 'abcd'[index]!, value }));
  expect(rank(values, 2)).toEqual([
    { label: 'b', value: 6, cumulativeShare: 0.6 },
    { label: 'd', value: 3, cumulativeShare: 0.9 },
  ]);
  expect(rank([{ label: 'a', value: 0 }], 2)).toEqual([]);
});

test('a position on the timeline is one of its days', () => {
  expect([-0.1, 0, 0.49, 0.5, 1, 1.2].map((position) => dayAt(position, 2))).toEqual([0, 0, 0, 1, 1, 1]);
  expect(rangeBetween(5, 2)).toEqual([2, 5]);
});

test.each([
  [0, 'ArrowRight', [3, 5]],
  [0, 'PageUp', [5, 5]],
  [0, 'Home', [0, 5]],
  [1, 'ArrowLeft', [2, 4]],
  [1, 'End', [2, 9]],
  [1, 'PageDown', [2, 2]],
  [1, 'a', null],
] as const)('end %d moves with the key %s and never passes the other end', (end, key, range) => {
  expect(moveEnd([2, 5], end, key, 10)).toEqual(range);
});

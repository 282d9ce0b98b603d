import { expect, test } from 'vitest';
import { bodyOf, differing, draftOf } from '../src/machines/draft';
import { byType, peak, perMonth } from '../src/machines/one/year';
import { weeks } from '../src/wall/weeks';

const machine = { id: 1, name: 'Lathe', sector: 'A', in_service: null, year_of_acquisition: 2019, version: 3, created_at: '', updated_at: '' } as never;

test('what is sent of a machine is what was changed, as the API has it', () => {
  const before = draftOf(machine);
  const after = { ...before, sector: '', year_of_acquisition: '2020', in_service: 'false', comment: 'x' };
  expect(bodyOf(before, after)).toEqual({ sector: null, year_of_acquisition: 2020, in_service: false, comment: 'x' });
  expect(bodyOf(before, { ...before, year_of_acquisition: 'last year' })).toEqual({ year_of_acquisition: 'last year' });
  expect(bodyOf(before, before)).toEqual({});
  expect(differing(before, after)).toEqual(['sector', 'year_of_acquisition', 'in_service', 'comment']);
});

test('a new machine is in service, and what is empty is nothing', () => {
  expect(bodyOf(null, { ...draftOf(), name: 'Mill' })).toMatchObject({ name: 'Mill', in_service: true, sector: null });
});

const MONTHS = ['2026-09', '2026-10', '2026-11'];

test('months without a group had nothing, and older ones are left out', () => {
  const group = (type: string, month: string, count: number) => ({ type, month, count, failures: 0, downtime: count * 60 });
  const groups = [group('error', '2026-08', 9), group('error', '2026-09', 2), group('info', '2026-11', 3), group('error', '2026-11', 1)];
  expect(byType(groups, MONTHS)).toEqual([
    { type: 'error', counts: [2, 0, 1], sum: 3 },
    { type: 'info', counts: [0, 0, 3], sum: 3 },
  ]);
  expect(perMonth([group('', '2026-10', 5), group('', '2025-10', 5)], MONTHS)).toEqual([0, 300, 0]);
  expect([peak([0, 5, 2]), peak([0, 0])]).toEqual([1, -1]);
});

test('this week counts so far, and last week up to the same day', () => {
  const day = (key: string, count: number) => ({ day: key, count, failures: 0, downtime: 0 });
  const groups = [day('2026-11-16', 4), day('2026-11-17', 2), day('2026-11-20', 7), day('2026-11-23', 1), day('2026-11-24', 3)];
  expect(weeks(groups, 'count', '2026-11-24')).toEqual({
    current: [1, 3, 0, 0, 0, 0, 0],
    last: [4, 2, 0, 0, 7, 0, 0],
    sum: 4,
    before: 6,
  });
});

import { compareNaturally } from '../src/i18n/collation';
import { searchMachines } from '../src/machines/machineSearch';
import { attributeLabel } from '../src/attributes/attributeLabel';
import { expect, test } from 'vitest';
import { bodyOf, changedFields, valuesOf } from '../src/machines/machineForm';
import { countsByType, indexOfMax, downtimeByMonth } from '../src/machines/detail/monthlyTotals';
import { compareWeeks } from '../src/wall/weekComparison';

const machine = { id: 1, name: 'Lathe', sector: 'A', in_service: null, year_of_acquisition: 2019, version: 3, created_at: '', updated_at: '' } as never;

test('an edit sends the changed fields with the types of the API', () => {
  const before = valuesOf(machine);
  const after = { ...before, sector: '', year_of_acquisition: '2020', in_service: 'false', comment: 'x' };
  expect(bodyOf(before, after)).toEqual({ sector: null, year_of_acquisition: 2020, in_service: false, comment: 'x' });
  expect(bodyOf(before, { ...before, year_of_acquisition: 'last year' })).toEqual({ year_of_acquisition: 'last year' });
  expect(bodyOf(before, before)).toEqual({});
  expect(changedFields(before, after)).toEqual(['sector', 'year_of_acquisition', 'in_service', 'comment']);
});

test('a new machine is in service, and empty fields are null', () => {
  expect(bodyOf(null, { ...valuesOf(), name: 'Mill' })).toMatchObject({ name: 'Mill', in_service: true, sector: null });
});

const MONTHS = ['2026-09', '2026-10', '2026-11'];

test('months without a group have the value 0, and other months are ignored', () => {
  const group = (type: string, month: string, count: number) => ({ type, month, count, failures: 0, downtime: count * 60 });
  const groups = [group('error', '2026-08', 9), group('error', '2026-09', 2), group('info', '2026-11', 3), group('error', '2026-11', 1)];
  expect(countsByType(groups, MONTHS)).toEqual([
    { type: 'error', counts: [2, 0, 1], sum: 3 },
    { type: 'info', counts: [0, 0, 3], sum: 3 },
  ]);
  expect(downtimeByMonth([group('', '2026-10', 5), group('', '2025-10', 5)], MONTHS)).toEqual([0, 300, 0]);
  expect([indexOfMax([0, 5, 2]), indexOfMax([0, 0])]).toEqual([1, -1]);
});

test('this week is summed up to today, and last week up to the same day', () => {
  const day = (key: string, count: number) => ({ day: key, count, failures: 0, downtime: 0 });
  const groups = [day('2026-11-16', 4), day('2026-11-17', 2), day('2026-11-20', 7), day('2026-11-23', 1), day('2026-11-24', 3)];
  expect(compareWeeks(groups, 'count', '2026-11-24')).toEqual({
    thisWeek: [1, 3, 0, 0, 0, 0, 0],
    lastWeek: [4, 2, 0, 0, 7, 0, 0],
    thisWeekSum: 4,
    lastWeekSum: 6,
  });
});

test('machines are found by any words, first by their name, in natural order', () => {
  const machines = ['Tour CN 14', 'Tour CN 4', 'Retour 40', 'Press 2'].map((name) => ({ name, serial_number: `X-${name.length}99` }));
  expect(searchMachines(machines, 'tour 4')).toEqual(['Tour CN 4', 'Retour 40', 'Tour CN 14']);
  expect(searchMachines(machines, 'x-799')).toEqual(['Press 2']);
});

test('an attribute is named as people write it', () => {
  expect(['power_kw', 'voltage', 'spindle_hours', 'kw'].map(attributeLabel)).toEqual(['Power (kW)', 'Voltage', 'Spindle (h)', 'Kw']);
});

test('names are ordered as people order them: numbers by value, case and accents aside', () => {
  const names = ['10', '9', 'Machine 10', 'Machine 2', 'Z mach', 'a mach', 'machine 1', 'É mach', 'Ä mach', 'e mach 2'];
  expect(names.sort(compareNaturally)).toEqual(['9', '10', 'a mach', 'Ä mach', 'É mach', 'e mach 2', 'machine 1', 'Machine 2', 'Machine 10', 'Z mach']);
});

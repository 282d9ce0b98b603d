import { expect, test } from 'vitest';
import { choicesOf, differences, merged } from '../src/logger/merge';
import { blank, bodyOf, changesOf, missing, same, toInstant, toLocal, valuesOf } from '../src/logger/values';
import type { FullLog } from '../src/record/record.svelte';

const NOW = '2026-11-24T14:03:05.000Z';
const base = { ...blank('Tour'), type: 'error', comment: 'broche' };

test('what is empty is not sent, and the log began when it was written', () => {
  expect(bodyOf({ ...base, machine: ' Tour ' }, NOW)).toEqual({
    machine: 'Tour',
    type: 'error',
    comment: 'broche',
    severity: 'info',
    status: 'done',
    started_at: NOW,
  });
  expect(bodyOf({ ...base, started_at: '2026-11-24T13:00:00.000Z' }, NOW).started_at).toBe('2026-11-24T13:00:00.000Z');
});

test('an edit sends what it changed, and null for what it took away', () => {
  const log = { ...base, cause: 'usure', project: null, version: 3 } as unknown as FullLog;
  expect(changesOf({ ...valuesOf(log), comment: 'broche bruyante', cause: '' }, log)).toEqual({ comment: 'broche bruyante', cause: null });
  expect(changesOf(valuesOf(log), log)).toEqual({});
});

test('a form is as it began until something is written in it', () => {
  expect(same(blank('Tour'), blank('Tour'))).toBe(true);
  expect(same(base, blank('Tour'))).toBe(false);
});

test('machine and type are needed, and the fault stands at the field', () => {
  expect(missing(base)).toBeNull();
  expect(missing({ ...base, machine: ' ' })?.of('machine')?.code).toBe('missing');
  expect(missing({ ...base, type: '' })?.of('machine')).toBeUndefined();
});

test.each([
  ['2026-11-24T14:03:00.000Z', 'Europe/Paris', '2026-11-24T15:03'],
  ['2026-07-01T00:30:00.000Z', 'Europe/Paris', '2026-07-01T02:30'],
  ['2026-03-29T00:59:00.000Z', 'Europe/Paris', '2026-03-29T01:59'],
  ['2026-03-29T01:00:00.000Z', 'Europe/Paris', '2026-03-29T03:00'],
  ['2026-01-01T03:00:00.000Z', 'America/New_York', '2025-12-31T22:00'],
])('%s is on the clocks of %s %s, and back', (instant, zone, local) => {
  expect(toLocal(instant, zone)).toBe(local);
  expect(toInstant(local, zone)).toBe(instant);
});

test('where one side alone changed a field it is suggested; where both did, a person says', () => {
  const found = differences(base, { ...base, comment: 'a', cause: 'x' }, { ...base, comment: 'b', severity: 'major' });
  expect(found.map(({ field, suggested }) => [field, suggested])).toEqual([
    ['severity', 'theirs'],
    ['comment', null],
    ['cause', 'mine'],
  ]);
});

test('nothing is merged before each field is decided, and nothing of theirs is lost', () => {
  const theirs = { ...base, comment: 'b', severity: 'major' };
  const found = differences(base, { ...base, comment: 'a', cause: 'x' }, theirs);
  const choices = choicesOf(found);
  expect(merged(theirs, found, choices)).toBeNull();
  choices.comment!.whose = 'both';
  expect(merged(theirs, found, choices)).toEqual({ ...theirs, comment: 'b\na', cause: 'x' });
  choices.comment!.whose = 'theirs';
  expect(merged(theirs, found, choices)).toEqual({ ...theirs, cause: 'x' });
});

test('both having written the same is no difference', () => {
  expect(differences(base, { ...base, comment: 'a' }, { ...base, comment: 'a' })).toEqual([]);
});

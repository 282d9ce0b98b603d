import { expect, test } from 'vitest';
import { initialChoices, differences, applyChoices } from '../src/logForm/merge';
import { emptyValues, bodyOf, endsWithOpenStop, patchOf, formError, areEqual, toInstant, toLocal, valuesOf } from '../src/logForm/values';
import type { FullLog } from '../src/logDetail/logRecord.svelte';

const NOW = '2026-11-24T14:03:05.000Z';
const base = { ...emptyValues('Tour'), type: 'error', comment: 'broche' };

test('empty fields are not sent, and the start time defaults to now', () => {
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

test('an edit sends the changed fields, and null for cleared ones', () => {
  const log = { ...base, cause: 'usure', project: null, version: 3 } as unknown as FullLog;
  expect(patchOf({ ...valuesOf(log), comment: 'broche bruyante', cause: '' }, log)).toEqual({ comment: 'broche bruyante', cause: null });
  expect(patchOf(valuesOf(log), log)).toEqual({});
});

test('a kind of stop is sent only with a stop', () => {
  expect(bodyOf({ ...base, down_kind: 'planned' }, NOW)).not.toHaveProperty('down_kind');
  expect(bodyOf({ ...base, down_from: NOW, down_kind: 'planned' }, NOW).down_kind).toBe('planned');
  const log = { ...base, down_from: NOW, down_kind: 'planned', version: 3 } as unknown as FullLog;
  expect(patchOf({ ...valuesOf(log), down_kind: '' }, log)).toEqual({ down_kind: null });
  expect(patchOf({ ...valuesOf(log), down_from: '' }, log)).toEqual({ down_from: null, down_kind: null });
});

test('the form asks about a stop without an end when the log becomes done, and not again later', () => {
  const stopped = { ...base, status: 'open', down_from: NOW };
  const done = { ...stopped, status: 'done' };
  expect([endsWithOpenStop(stopped), endsWithOpenStop(done), endsWithOpenStop({ ...done, down_to: NOW })]).toEqual([false, true, false]);
  expect([endsWithOpenStop(done, stopped), endsWithOpenStop(done, done)]).toEqual([true, false]);
});

test('forms are equal until a value changes', () => {
  expect(areEqual(emptyValues('Tour'), emptyValues('Tour'))).toBe(true);
  expect(areEqual(base, emptyValues('Tour'))).toBe(false);
});

test('machine and type are required, and each has its own field error', () => {
  expect(formError(base)).toBeNull();
  expect(formError({ ...base, machine: ' ' })?.fieldError('machine')?.code).toBe('required');
  expect(formError({ ...base, type: '' })?.fieldError('machine')).toBeUndefined();
});

test.each([
  ['2026-11-24T14:03:00.000Z', 'Europe/Paris', '2026-11-24T15:03'],
  ['2026-07-01T00:30:00.000Z', 'Europe/Paris', '2026-07-01T02:30'],
  ['2026-03-29T00:59:00.000Z', 'Europe/Paris', '2026-03-29T01:59'],
  ['2026-03-29T01:00:00.000Z', 'Europe/Paris', '2026-03-29T03:00'],
  ['2026-01-01T03:00:00.000Z', 'America/New_York', '2025-12-31T22:00'],
])('%s is converted to local time in %s (%s) and back', (instant, zone, local) => {
  expect(toLocal(instant, zone)).toBe(local);
  expect(toInstant(local, zone)).toBe(instant);
});

test('if only one side changed a field, its value is suggested; if both did, the user must choose', () => {
  const changedFields = differences(base, { ...base, comment: 'a', cause: 'x' }, { ...base, comment: 'b', severity: 'major' });
  expect(changedFields.map(({ field, suggested }) => [field, suggested])).toEqual([
    ['severity', 'theirs'],
    ['comment', null],
    ['cause', 'mine'],
  ]);
});

test('there is no merged log until every field is decided, and no change of the other user is lost', () => {
  const theirs = { ...base, comment: 'b', severity: 'major' };
  const changedFields = differences(base, { ...base, comment: 'a', cause: 'x' }, theirs);
  const choices = initialChoices(changedFields);
  expect(applyChoices(theirs, changedFields, choices)).toBeNull();
  choices.comment!.version = 'both';
  expect(applyChoices(theirs, changedFields, choices)).toEqual({ ...theirs, comment: 'b\na', cause: 'x' });
  choices.comment!.version = 'theirs';
  expect(applyChoices(theirs, changedFields, choices)).toEqual({ ...theirs, cause: 'x' });
});

test('the same change on both sides is no difference', () => {
  expect(differences(base, { ...base, comment: 'a' }, { ...base, comment: 'a' })).toEqual([]);
});

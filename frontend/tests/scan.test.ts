import { expect, test, vi } from 'vitest';
import type { LogType } from '../src/api/client';
import { bestOf, searchWords, type SimilarLog } from '../src/logForm/similarLogs';
import { bodyOf, breakdownPreset, emptyValues, presetOf, valuesOf, withPreset } from '../src/logForm/values';
import { machineIdOf } from '../src/machines/scan/label';
import { newLogPath } from '../src/router/routes';

vi.mock('../src/api/client', () => ({ api: {}, data: {} }));

const NOW = '2026-11-24T14:03:05.000Z';

test.each([
  ['http://plant:8000/ui/m/12', 12],
  ['https://plant/ui/m/12/', 12],
  ['http://elsewhere/ui/m/12', null],
  ['http://plant/ui/machines/12', null],
  ['http://plant/m/12', null],
  ['http://plant/ui/m/twelve', null],
  ['http://plant/ui/m/1234567890123456', null],
  ['SN-4711', null],
  ['', null],
])('%s is the label of machine %s', (text, id) => {
  expect(machineIdOf(text, 'plant')).toBe(id);
});

test('a text is searched for by its longest words', () => {
  expect(searchWords('La broche est très BRUYANTE, 12000 tr/min')).toEqual(['bruyante', 'broche', 'tres']);
  expect(searchWords('un deux trois quatre cinq sixieme septieme')).toEqual(['septieme', 'sixieme', 'quatre', 'trois']);
  expect(searchWords('broche')).toEqual([]);
});

test('the log that most searches found is the most similar, then one that says why, then the newest', () => {
  const log = (uuid: string, more: Partial<SimilarLog> = {}): SimilarLog => ({ uuid, comment: uuid, cause: null, action: null, started_at: NOW, ...more });
  const [often, explained, newer, empty] = [log('often'), log('explained', { cause: 'usure' }), log('newer', { started_at: '2026-11-25T00:00:00Z' }), log('empty', { comment: null })];
  expect(bestOf([[explained, often], [often]])).toBe(often);
  expect(bestOf([[newer, explained, often]])).toBe(explained);
  expect(bestOf([[often, newer, empty]])).toBe(newer);
  expect(bestOf([[empty], []])).toBe(null);
});

test('a breakdown starts with a type of failure, a stop and a major severity', () => {
  const type = (code: string, more = {}): LogType => ({ code, active: true, counts_as_failure: true, ...more }) as LogType;
  const rest = { severity: 'major', status: 'open', down_from: NOW };
  expect(breakdownPreset([type('crash'), type('error')], NOW)).toEqual({ type: 'error', ...rest });
  expect(breakdownPreset([type('info', { counts_as_failure: false }), type('error', { active: false }), type('crash')], NOW)).toEqual({ type: 'crash', ...rest });
  expect(breakdownPreset([], NOW)).toEqual(rest);
});

test('the address of the form keeps its preset, which fills in only what the user has not', () => {
  const preset = { type: 'error', severity: 'major', status: 'open', down_from: NOW };
  const address = new URL(newLogPath('Tour 1', preset), 'http://plant');
  expect(presetOf([...address.searchParams, ['colour', 'red'], ['cause', '']])).toEqual(preset);
  const typed = { ...emptyValues('Tour 1'), type: 'cleaning', down_from: '2026-11-24T13:00:00.000Z', comment: 'broche' };
  expect(withPreset(typed, preset)).toEqual({ ...typed, severity: 'major', status: 'open' });
});

test('a log asks for its machine to be created only under the name that the user chose', () => {
  const values = { ...emptyValues('Presse'), type: 'info', unlisted: 'Presse' };
  expect(bodyOf(values, NOW)).toMatchObject({ machine: 'Presse', unlisted: true });
  expect(bodyOf({ ...values, machine: 'Tour' }, NOW)).not.toHaveProperty('unlisted');
  expect(valuesOf(bodyOf(values, NOW)).unlisted).toBe('Presse');
});

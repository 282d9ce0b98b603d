import { expect, test } from 'vitest';
import { responseFrom } from '../src/offline/offlineResponses';

const LOGS = [
  { uuid: 'a', version: 1, machine: 'Tour 1', type: 'error', comment: 'Broche cassée', started_at: '2026-11-01T08:00:00Z', down_to: null },
  { uuid: 'b', version: 1, machine: 'Tour 2', type: 'info', comment: 'Ok', started_at: '2026-11-03T08:00:00Z', down_to: null },
  { uuid: 'c', machine: 'Tour 1', comment: 'Only some fields' },
  { uuid: 'a', version: 2, machine: 'Tour 1', type: 'error', comment: 'Broche usée', started_at: '2026-11-01T08:00:00Z', down_to: '2026-11-02T08:00:00Z' },
];

const ask = (path: string) => {
  const { pathname, searchParams } = new URL(path, 'http://service');
  return responseFrom(LOGS, pathname, searchParams);
};
const uuids = (path: string) => (ask(path) as { items: { uuid: string }[] }).items.map(({ uuid }) => uuid);

test('a record is its newest whole copy', () => {
  expect(ask('/logs/a?expand=machine,user')).toMatchObject({ version: 2 });
  expect(ask('/logs/c')).toBeNull();
});

test('a list has the records that pass its filters, the newest first', () => {
  expect(uuids('/logs?limit=60&count=capped')).toEqual(['b', 'a']);
  expect(uuids('/logs?machine=Tour%201')).toEqual(['a']);
  expect(uuids('/logs?machine=Tour%201&machine=Tour%202&sort=started_at')).toEqual(['a', 'b']);
  expect(uuids('/logs?down_to__isnull=true')).toEqual(['b']);
  expect(uuids('/logs?started_at__gte=2026-11-02')).toEqual(['b']);
  expect(uuids('/logs?q=usee%20tour')).toEqual(['a']);
  expect(uuids('/logs?limit=1')).toEqual(['b']);
});

test('what cannot be told from copies has no response', () => {
  expect(ask('/logs?machine.sector=A')).toBeNull();
  expect(ask('/logs?comment__contains=x')).toBeNull();
  expect(ask('/logs?limit=60&cursor=abc')).toBeNull();
  expect(ask('/logs/a/history?limit=20')).toBeNull();
  expect(responseFrom([], '/logs', new URLSearchParams())).toBeNull();
});

import { afterEach, expect, test, vi } from 'vitest';
import { outcomeOf, nextToSend, type QueuedLog } from '../src/offline/queue';
import { randomUuid } from '../src/offline/uuid';

afterEach(() => vi.unstubAllGlobals());

function queuedLog(seq: number, more: Partial<QueuedLog> = {}): QueuedLog {
  const body = { machine: 'M', type: 'info', started_at: '2026-01-01T00:00:00Z' };
  return { uuid: String(seq), seq, by: 'ABC', body, tried: false, refused: null, ...more };
}

test('the oldest log is sent first', () => {
  expect(nextToSend([queuedLog(3), queuedLog(1), queuedLog(2)], 'ABC')?.seq).toBe(1);
  expect(nextToSend([], 'ABC')).toBeNull();
});

test('a refused log does not block the others', () => {
  const refused = { code: 'validation', status: 422 };
  expect(nextToSend([queuedLog(1, { refused }), queuedLog(2)], 'ABC')?.seq).toBe(2);
  expect(nextToSend([queuedLog(1, { refused })], 'ABC')).toBeNull();
});

test('a log is sent only by its author; a log without author by any user', () => {
  expect(nextToSend([queuedLog(1, { by: 'XYZ' }), queuedLog(2)], 'ABC')?.seq).toBe(2);
  expect(nextToSend([queuedLog(1)], null)).toBeNull();
  expect(nextToSend([queuedLog(1, { by: null })], 'ABC')?.seq).toBe(1);
});

test.each([
  [200, 'accepted'],
  [201, 'accepted'],
  [412, 'accepted'],
  [0, 'retry'],
  [401, 'retry'],
  [429, 'retry'],
  [503, 'retry'],
  [507, 'retry'],
  [403, 'refused'],
  [409, 'refused'],
  [410, 'refused'],
  [422, 'refused'],
] as const)('a response with status %i means %s', (status, outcome) => expect(outcomeOf(status)).toBe(outcome));

test('without a secure context, the UUID is built from random bytes and is valid', () => {
  vi.stubGlobal('crypto', { getRandomValues: (bytes: Uint8Array) => bytes.map((_, index) => (bytes[index] = index === 8 ? 0xff : 0xf0)) && bytes });
  expect(randomUuid()).toBe('f0f0f0f0-f0f0-40f0-bff0-f0f0f0f0f0f0');
});

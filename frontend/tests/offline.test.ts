import { afterEach, expect, test, vi } from 'vitest';
import { judge, next, type Waiting } from '../src/offline/queue';
import { newUuid } from '../src/offline/uuid';

afterEach(() => vi.unstubAllGlobals());

function waiting(seq: number, more: Partial<Waiting> = {}): Waiting {
  const body = { machine: 'M', type: 'info', started_at: '2026-01-01T00:00:00Z' };
  return { uuid: String(seq), seq, by: 'ABC', body, tried: false, refused: null, ...more };
}

test('the first that was written is the first that is sent', () => {
  expect(next([waiting(3), waiting(1), waiting(2)], 'ABC')?.seq).toBe(1);
  expect(next([], 'ABC')).toBeNull();
});

test('one that was refused waits for a person, and holds up none', () => {
  const refused = { code: 'validation', status: 422 };
  expect(next([waiting(1, { refused }), waiting(2)], 'ABC')?.seq).toBe(2);
  expect(next([waiting(1, { refused })], 'ABC')).toBeNull();
});

test('a log is sent by its author alone, and one of nobody by whoever is there', () => {
  expect(next([waiting(1, { by: 'XYZ' }), waiting(2)], 'ABC')?.seq).toBe(2);
  expect(next([waiting(1)], null)).toBeNull();
  expect(next([waiting(1, { by: null })], 'ABC')?.seq).toBe(1);
});

test.each([
  [200, 'done'],
  [201, 'done'],
  [412, 'done'],
  [0, 'later'],
  [401, 'later'],
  [429, 'later'],
  [503, 'later'],
  [507, 'later'],
  [403, 'refused'],
  [409, 'refused'],
  [410, 'refused'],
  [422, 'refused'],
] as const)('an answer of %i means %s', (status, verdict) => expect(judge(status)).toBe(verdict));

test('without a secure context a uuid is made of random bytes, and is a right one', () => {
  vi.stubGlobal('crypto', { getRandomValues: (bytes: Uint8Array) => bytes.map((_, index) => (bytes[index] = index === 8 ? 0xff : 0xf0)) && bytes });
  expect(newUuid()).toBe('f0f0f0f0-f0f0-40f0-bff0-f0f0f0f0f0f0');
});

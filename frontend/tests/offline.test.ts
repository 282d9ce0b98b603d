import { afterEach, expect, test, vi } from 'vitest';
import { differsInFilesOnly, fromStored, isApplied, isUnrelated, nextToSend, nextUpload, outcomeOf, withPending, type QueuedCreate, type QueuedDelete, type QueuedUpdate, type QueuedUpload } from '../src/offline/queue';
import { randomUuid } from '../src/device/uuid';

afterEach(() => vi.unstubAllGlobals());

const NOW = 1_000;
const REFUSED = { code: 'validation', status: 422 };

function created(seq: number, more: Partial<QueuedCreate> = {}): QueuedCreate {
  const body = { machine: 'M', type: 'info', started_at: '2026-01-01T00:00:00Z' };
  return { kind: 'create', uuid: String(seq), seq, by: 'ABC', body, tried: false, refused: null, ...more };
}

function updated(seq: number, more: Partial<QueuedUpdate> = {}): QueuedUpdate {
  const base = { version: 3, comment: 'old', cause: null, down_to: null };
  return { kind: 'update', uuid: String(seq), seq, by: 'ABC', resource: 'logs', key: 'L', base, version: 3, body: {}, mergesAlone: false, tried: false, refused: null, ...more };
}

function uploaded(seq: number, more: Partial<QueuedUpload> = {}): QueuedUpload {
  const file = { name: 'a.jpg', size: 1, type: 'image/jpeg' };
  return { kind: 'upload', uuid: String(seq), seq, by: 'ABC', resource: 'logs', key: 'L', machine: 'M', ...file, tried: false, refused: null, ...more };
}

const next = (...queue: Parameters<typeof nextToSend>[0]) => nextToSend(queue, 'ABC', NOW);

test('the oldest write is sent first', () => {
  expect(next(created(3), created(1), updated(2))?.seq).toBe(1);
  expect(next()).toBeNull();
});

test('a refused write holds back only the later writes to its record', () => {
  expect(next(created(1, { refused: REFUSED }), created(2))?.seq).toBe(2);
  expect(next(created(1, { refused: REFUSED }))).toBeNull();
  expect(next(updated(1, { refused: REFUSED }), updated(2), updated(3, { key: 'other' }))?.seq).toBe(3);
  expect(next(created(1, { uuid: 'L', refused: REFUSED }), updated(2))).toBeNull();
});

test('a deletion is sent when it can no longer be undone', () => {
  const { kind: _, body: __, mergesAlone: ___, ...rest } = updated(1);
  const deletion: QueuedDelete = { ...rest, kind: 'delete', sendAfter: NOW + 1 };
  expect(next(deletion, created(2))?.seq).toBe(2);
  expect(nextToSend([deletion], 'ABC', NOW + 1)?.seq).toBe(1);
});

test('a file waits for its log, and for the changes before it, but not for those that were refused', () => {
  expect(nextUpload([created(1, { uuid: 'L', refused: REFUSED }), uploaded(2), uploaded(3, { key: 'other' })], 'ABC')?.seq).toBe(3);
  expect(nextUpload([updated(1), uploaded(2)], 'ABC')).toBeNull();
  expect(nextUpload([updated(1, { refused: REFUSED }), uploaded(2)], 'ABC')?.seq).toBe(2);
  expect(nextUpload([uploaded(1, { refused: REFUSED }), uploaded(2, { by: 'XYZ' }), uploaded(3)], 'ABC')?.seq).toBe(3);
});

test('a file holds back no text, only the deletion of its record', () => {
  const { kind: _, body: __, mergesAlone: ___, ...rest } = updated(2);
  const deletion: QueuedDelete = { ...rest, kind: 'delete', sendAfter: NOW };
  expect(next(uploaded(1), updated(2))?.seq).toBe(2);
  expect(next(uploaded(1), deletion)).toBeNull();
  expect(next(uploaded(1, { refused: REFUSED }), deletion)?.seq).toBe(2);
});

test('a service without room or a folder for files is not asked again and again', () => {
  expect(outcomeOf('upload', 507, 'storage-full')).toBe('refused');
  expect(outcomeOf('upload', 503, 'files-unavailable')).toBe('refused');
  expect(outcomeOf('upload', 503, 'database-busy')).toBe('retry');
  expect(outcomeOf('upload', 413, 'file-too-large')).toBe('refused');
});

test('a new file alone is no conflict with a change of fields', () => {
  const base = { version: 3, comment: 'old', attachments: [], attachment_count: 0, updated_at: '2026-01-01T00:00:00Z' };
  const current = { ...base, version: 4, attachments: [{ id: 'A' }], attachment_count: 1, updated_at: '2026-01-02T00:00:00Z' };
  expect(differsInFilesOnly(base, current)).toBe(true);
  expect(differsInFilesOnly(base, { ...current, comment: 'new' })).toBe(false);
});

test('a write is sent only by its author; a write without author by any user', () => {
  expect(next(created(1, { by: 'XYZ' }), created(2))?.seq).toBe(2);
  expect(nextToSend([created(1)], null, NOW)).toBeNull();
  expect(next(created(1, { by: null }))?.seq).toBe(1);
});

test('logs that an earlier build of the console stored are still new logs', () => {
  const { kind: _, ...stored } = created(1);
  expect(fromStored(stored)).toEqual(created(1));
});

test('a change is applied if the record has its values, in any spelling of a time', () => {
  const change = updated(1, { body: { down_to: '2026-11-26T10:00:05.000Z', cause: null } });
  expect(isApplied(change, { version: 4, down_to: '2026-11-26T10:00:05Z' })).toBe(true);
  expect(isApplied(change, { version: 4, down_to: '2026-11-26T10:00:06Z' })).toBe(false);
});

test('a change is unrelated to the changes of others in other fields', () => {
  const change = updated(1, { body: { down_to: '2026-11-26T10:00:00Z' } });
  expect(isUnrelated(change, { version: 4, comment: 'new', down_to: null })).toBe(true);
  expect(isUnrelated(change, { version: 4, comment: 'old', down_to: '2026-11-26T09:00:00Z' })).toBe(false);
});

test('a record is shown with the changes that wait, in their order', () => {
  const record = { comment: 'old', cause: null };
  const queue = [updated(1, { body: { comment: 'new' } }), updated(2, { body: { comment: 'newer' } }), updated(3, { key: 'other', body: { cause: 'x' } })];
  expect(withPending(record, queue, 'logs/L')).toEqual({ comment: 'newer', cause: null });
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
] as const)('a response with status %i means %s', (status, outcome) => expect(outcomeOf('create', status)).toBe(outcome));

test('only a new log may be there already, and only a deletion may find nothing', () => {
  expect(outcomeOf('update', 412)).toBe('refused');
  expect(outcomeOf('update', 404)).toBe('refused');
  expect(outcomeOf('delete', 404)).toBe('accepted');
  expect(outcomeOf('delete', 410)).toBe('accepted');
});

test('without a secure context, the UUID is built from random bytes and is valid', () => {
  vi.stubGlobal('crypto', { getRandomValues: (bytes: Uint8Array) => bytes.map((_, index) => (bytes[index] = index === 8 ? 0xff : 0xf0)) && bytes });
  expect(randomUuid()).toBe('f0f0f0f0-f0f0-40f0-bff0-f0f0f0f0f0f0');
});

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import type { Problem } from '../api/error';
import type { QueuedLog } from './queue';

/** Form input that was not sent yet. `base` is the record that the form edits. */
export interface StoredDraft {
  values: Record<string, string>;
  base?: unknown;
}

// Browsers hold unsent logs and drafts in these object stores. Renaming a store or a field would lose them; `known` is
// therefore still the name of the store for the offline cache.
interface Schema extends DBSchema {
  drafts: { key: string; value: StoredDraft };
  queue: { key: number; value: Omit<QueuedLog, 'seq'> & { seq?: number }; indexes: { uuid: string } };
  known: { key: string; value: unknown };
}

// Wait until the data is on the disk: a phone's battery may die right after the write.
const STRICT = { durability: 'strict' } as const;
let connection: Promise<IDBPDatabase<Schema>> | undefined;

function connect(): Promise<IDBPDatabase<Schema>> {
  connection ??= openDB<Schema>('machine-monitor', 1, {
    upgrade(db) {
      db.createObjectStore('drafts');
      db.createObjectStore('known');
      db.createObjectStore('queue', { keyPath: 'seq', autoIncrement: true }).createIndex('uuid', 'uuid', { unique: true });
    },
  });
  return connection;
}

export async function readDraft(key: string): Promise<StoredDraft | undefined> {
  return (await connect()).get('drafts', key);
}

export async function readDraftKeys(prefix: string): Promise<string[]> {
  const keys = await (await connect()).getAllKeys('drafts');
  return keys.filter((key) => key.startsWith(prefix));
}

/** Store a draft, or delete it if it is null. */
export async function writeDraft(key: string, draft: StoredDraft | null): Promise<void> {
  const tx = (await connect()).transaction('drafts', 'readwrite', STRICT);
  await Promise.all([draft ? tx.store.put(draft, key) : tx.store.delete(key), tx.done]);
}

export async function readQueue(): Promise<QueuedLog[]> {
  return (await (await connect()).getAll('queue')) as QueuedLog[];
}

/** Add a log to the queue, and delete its draft and the refused log that it corrects, all in one transaction. */
export async function enqueue(item: Pick<QueuedLog, 'uuid' | 'by' | 'body'>, draftKey: string, refusedUuid: string | null): Promise<void> {
  const tx = (await connect()).transaction(['queue', 'drafts'], 'readwrite', STRICT);
  const queue = tx.objectStore('queue');
  const refusedKey = refusedUuid === null ? undefined : await queue.index('uuid').getKey(refusedUuid);
  if (refusedKey !== undefined) await queue.delete(refusedKey);
  await Promise.all([queue.add({ ...item, tried: false, refused: null }), tx.objectStore('drafts').delete(draftKey), tx.done]);
}

/** Mark a log as tried before it is sent: the browser may be closed before the response arrives. */
export async function markTried(item: QueuedLog): Promise<void> {
  if (!item.tried) await (await connect()).put('queue', { ...item, tried: true });
}

/** Store the problem with which the service refused a log. */
export async function markRefused(uuid: string, refused: Problem): Promise<void> {
  const tx = (await connect()).transaction('queue', 'readwrite', STRICT);
  const item = await tx.store.index('uuid').get(uuid);
  if (item) await tx.store.put({ ...item, refused });
  await tx.done;
}

/** Remove a log from the queue: the service accepted it, or its author deleted it. */
export async function dequeue(uuid: string): Promise<void> {
  const tx = (await connect()).transaction('queue', 'readwrite', STRICT);
  const item = await tx.store.index('uuid').get(uuid);
  if (item) await tx.store.delete(item.seq!);
  await tx.done;
}

export async function readCached<T>(name: string): Promise<T | undefined> {
  return (await (await connect()).get('known', name)) as T | undefined;
}

export async function writeCached(name: string, value: unknown): Promise<void> {
  await (await connect()).put('known', value, name);
}

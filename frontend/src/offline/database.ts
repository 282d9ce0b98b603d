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
let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>('machine-monitor', 1, {
    upgrade(db) {
      db.createObjectStore('drafts');
      db.createObjectStore('known');
      db.createObjectStore('queue', { keyPath: 'seq', autoIncrement: true }).createIndex('uuid', 'uuid', { unique: true });
    },
  });
  return opened;
}

export async function readDraft(key: string): Promise<StoredDraft | undefined> {
  return (await database()).get('drafts', key);
}

export async function draftKeys(prefix: string): Promise<string[]> {
  const keys = await (await database()).getAllKeys('drafts');
  return keys.filter((key) => key.startsWith(prefix));
}

/** Store a draft, or delete it if it is null. */
export async function writeDraft(key: string, draft: StoredDraft | null): Promise<void> {
  const tx = (await database()).transaction('drafts', 'readwrite', STRICT);
  await Promise.all([draft ? tx.store.put(draft, key) : tx.store.delete(key), tx.done]);
}

export async function readQueue(): Promise<QueuedLog[]> {
  return (await (await database()).getAll('queue')) as QueuedLog[];
}

/** Add a log to the queue and delete its draft, in one transaction. `replaced` is the UUID of a refused log that it replaces. */
export async function enqueue(item: Pick<QueuedLog, 'uuid' | 'by' | 'body'>, draftKey: string, replaced: string | null): Promise<void> {
  const tx = (await database()).transaction(['queue', 'drafts'], 'readwrite', STRICT);
  const queue = tx.objectStore('queue');
  const replacedKey = replaced === null ? undefined : await queue.index('uuid').getKey(replaced);
  if (replacedKey !== undefined) await queue.delete(replacedKey);
  await Promise.all([queue.add({ ...item, tried: false, refused: null }), tx.objectStore('drafts').delete(draftKey), tx.done]);
}

/** Mark a log as tried before it is sent: the browser may be closed before the response arrives. */
export async function markTried(item: QueuedLog): Promise<void> {
  if (!item.tried) await (await database()).put('queue', { ...item, tried: true });
}

/** Store the problem with which the service refused a log. */
export async function markRefused(uuid: string, refused: Problem): Promise<void> {
  const tx = (await database()).transaction('queue', 'readwrite', STRICT);
  const item = await tx.store.index('uuid').get(uuid);
  if (item) await tx.store.put({ ...item, refused });
  await tx.done;
}

/** Remove a log from the queue: the service accepted it, or its author deleted it. */
export async function dequeue(uuid: string): Promise<void> {
  const tx = (await database()).transaction('queue', 'readwrite', STRICT);
  const item = await tx.store.index('uuid').get(uuid);
  if (item) await tx.store.delete(item.seq!);
  await tx.done;
}

export async function readCached<T>(name: string): Promise<T | undefined> {
  return (await (await database()).get('known', name)) as T | undefined;
}

export async function writeCached(name: string, value: unknown): Promise<void> {
  await (await database()).put('known', value, name);
}

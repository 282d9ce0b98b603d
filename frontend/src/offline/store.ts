import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import type { Problem } from '../api/failure';
import type { Waiting } from './queue';

/** What was typed and not sent; `base` is the record that it changes. */
export interface StoredDraft {
  values: Record<string, string>;
  base?: unknown;
}

interface Stores extends DBSchema {
  drafts: { key: string; value: StoredDraft };
  queue: { key: number; value: Omit<Waiting, 'seq'> & { seq?: number }; indexes: { uuid: string } };
  known: { key: string; value: unknown };
}

// A battery may die at once after: what is kept is on the disk, not on its way there.
const LASTING = { durability: 'strict' } as const;
let opened: Promise<IDBPDatabase<Stores>> | undefined;

function database(): Promise<IDBPDatabase<Stores>> {
  opened ??= openDB<Stores>('machine-monitor', 1, {
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

/** Keep a draft, or none. */
export async function writeDraft(key: string, draft: StoredDraft | null): Promise<void> {
  const tx = (await database()).transaction('drafts', 'readwrite', LASTING);
  await Promise.all([draft ? tx.store.put(draft, key) : tx.store.delete(key), tx.done]);
}

export async function readQueue(): Promise<Waiting[]> {
  return (await (await database()).getAll('queue')) as Waiting[];
}

/** Make a draft a log on its way, in place of one that was refused: at no moment is it both, or neither. */
export async function enqueue(item: Pick<Waiting, 'uuid' | 'by' | 'body'>, draft: string, instead: string | null): Promise<void> {
  const tx = (await database()).transaction(['queue', 'drafts'], 'readwrite', LASTING);
  const queue = tx.objectStore('queue');
  const former = instead === null ? undefined : await queue.index('uuid').getKey(instead);
  if (former !== undefined) await queue.delete(former);
  await Promise.all([queue.add({ ...item, tried: false, refused: null }), tx.objectStore('drafts').delete(draft), tx.done]);
}

/** Note that one is being sent, before it is: a battery may die in between. */
export async function attempt(item: Waiting): Promise<void> {
  if (!item.tried) await (await database()).put('queue', { ...item, tried: true });
}

/** Note why one was not taken, or let it go. */
export async function settle(uuid: string, refused: Problem | null): Promise<void> {
  const tx = (await database()).transaction('queue', 'readwrite', LASTING);
  const item = await tx.store.index('uuid').get(uuid);
  if (item) await (refused ? tx.store.put({ ...item, refused }) : tx.store.delete(item.seq!));
  await tx.done;
}

export async function readKnown<T>(name: string): Promise<T | undefined> {
  return (await (await database()).get('known', name)) as T | undefined;
}

export async function writeKnown(name: string, value: unknown): Promise<void> {
  await (await database()).put('known', value, name);
}

import type { Problem } from '../api/error';
import { deviceStorage, transact, transactRead, type StoredDraft, type Stores } from '../device/deviceStorage.svelte';
import { entryOf, forgetFile, storeFilesAgain } from './fileStore';
import { fromStored, type NewWrite, type QueuedWrite } from './queue';

// Writes that the browser could not store come after those that it could.
const FIRST_UNSTORED_SEQ = 2 ** 40;

/** Copies of what this page wrote, for the case that the browser refuses it or deletes it. */
const memory = {
  drafts: new Map<string, StoredDraft>(),
  known: new Map<string, unknown>(),
  /** The writes of this page that the service has not answered. */
  queue: new Map<string, QueuedWrite>(),
  /** The writes that are done with. The browser may fail to delete one. */
  removedUuids: new Set<string>(),
  /** Writes with a change that the browser could not store. */
  changed: new Map<string, QueuedWrite>(),
  /** The writes that were read from the disk last. */
  lastRead: [] as QueuedWrite[],
  nextSeq: FIRST_UNSTORED_SEQ,
};

export async function readDraft(key: string): Promise<StoredDraft | undefined> {
  return memory.drafts.get(key) ?? (await deviceStorage.use((stores) => transactRead(stores, 'drafts', (store) => store.get(key) as Promise<StoredDraft | undefined>), () => undefined));
}

export async function readDraftKeys(prefix: string): Promise<string[]> {
  const stored = await deviceStorage.use((stores) => transactRead(stores, 'drafts', (store) => store.getAllKeys() as Promise<string[]>), () => []);
  return [...new Set([...stored, ...memory.drafts.keys()])].filter((key) => key.startsWith(prefix));
}

/** Store a draft, or delete it if it is null. Returns whether it is on the disk. */
export async function writeDraft(key: string, draft: StoredDraft | null): Promise<boolean> {
  memory.drafts.delete(key);
  const work = (stores: Stores): Promise<boolean> =>
    transact(stores, ['drafts'], async (tx) => {
      await (draft ? tx.objectStore('drafts').put(draft, key) : tx.objectStore('drafts').delete(key));
      return true;
    });
  const isStored = await (draft ? deviceStorage.useDurably(work, () => false) : deviceStorage.use(work, () => false));
  if (!isStored && draft) memory.drafts.set(key, draft);
  return isStored;
}

/** Give a draft another key. Returns it, or undefined if another tab was faster. */
export async function moveDraft(from: string, to: string): Promise<StoredDraft | undefined> {
  const work = (stores: Stores): Promise<StoredDraft | undefined> =>
    transact(stores, ['drafts'], async (tx) => {
      const drafts = tx.objectStore('drafts');
      const draft = await drafts.get(from);
      if (draft) await Promise.all([drafts.delete(from), drafts.put(draft, to)]);
      return draft;
    });
  return deviceStorage.use(work, () => undefined);
}

/** Read the queue in the order of writing. Writes of this page that the browser has lost are put back. */
export async function readQueue(): Promise<QueuedWrite[]> {
  if (await deviceStorage.wasCleared()) {
    await deviceStorage.acceptMark();
    for (const write of [...memory.queue.values()]) await store([write], null, null);
    await storeFilesAgain();
  }
  const stored = await deviceStorage.use((stores) => transactRead(stores, 'queue', (store) => store.getAll() as Promise<object[]>), () => null);
  // Without an answer of the browser, this page knows at least its own writes, and those that it has read before.
  if (stored !== null) memory.lastRead = stored.map(fromStored);
  const onDisk = memory.lastRead.map((write) => memory.changed.get(write.uuid) ?? write);
  const others = [...memory.queue.values()].filter(({ uuid, seq }) => (stored === null || seq >= FIRST_UNSTORED_SEQ) && !onDisk.some((one) => one.uuid === uuid));
  const all = [...onDisk, ...others];
  return all.filter(({ uuid }) => !memory.removedUuids.has(uuid)).sort((one, other) => one.seq - other.seq);
}

/**
 * Add writes to the queue and delete the draft that they come from, in one transaction. `replaced` is the UUID of a refused write
 * that the first one replaces.
 */
export async function enqueue(writes: readonly (NewWrite & { by: string | null })[], draftKey: string | null, replaced: string | null): Promise<void> {
  const queued = writes.map((write) => ({ ...write, tried: false, refused: null, seq: memory.nextSeq++ }) as QueuedWrite);
  if (replaced !== null) {
    memory.removedUuids.add(replaced);
    memory.queue.delete(replaced);
  }
  // A write that the user has fixed keeps its UUID.
  for (const { uuid } of writes) memory.removedUuids.delete(uuid);
  if (draftKey !== null) memory.drafts.delete(draftKey);
  await store(queued, draftKey, replaced);
}

async function store(writes: readonly QueuedWrite[], draftKey: string | null, replaced: string | null): Promise<void> {
  const work = (stores: Stores): Promise<number[]> =>
    transact(stores, ['queue', 'drafts'], async (tx) => {
      const queue = tx.objectStore('queue');
      const replacedKey = replaced === null ? undefined : await queue.index('uuid').getKey(replaced);
      if (replacedKey !== undefined) await queue.delete(replacedKey);
      if (draftKey !== null) await tx.objectStore('drafts').delete(draftKey);
      const keys: number[] = [];
      for (const [index, { seq: _, ...value }] of writes.entries()) {
        // The same write again means that the form was sent twice. A refused write that is sent again keeps its place in the order.
        const present = await queue.index('uuid').getKey(value.uuid);
        const keepsPlace = index === 0 && replacedKey !== undefined;
        keys.push(present ?? (await queue.add(keepsPlace ? { ...value, seq: replacedKey } : value)));
      }
      return keys;
    });
  const keys = await deviceStorage.useDurably(work, () => writes.map(({ seq }) => seq));
  for (const [index, write] of writes.entries()) memory.queue.set(write.uuid, { ...write, seq: keys[index]! });
}

/** Change a write in the queue, or remove it if `change` returns null. */
async function changeWrite(uuid: string, change: (write: QueuedWrite) => QueuedWrite | null): Promise<void> {
  const own = memory.queue.get(uuid);
  const changed = own && change(own);
  if (changed) memory.queue.set(uuid, changed);
  else memory.queue.delete(uuid);
  const work = (stores: Stores): Promise<void> =>
    transact(stores, ['queue', 'known'], async (tx) => {
      const queue = tx.objectStore('queue');
      const stored = await queue.index('uuid').get(uuid);
      const next = stored && change(fromStored(stored));
      if (next) await queue.put(next);
      else if (stored) await Promise.all([queue.delete(stored.seq!), tx.objectStore('known').delete(entryOf(uuid))]);
    });
  const known = memory.changed.get(uuid) ?? memory.lastRead.find((write) => write.uuid === uuid);
  const isStored = await deviceStorage.use(async (stores) => {
    await work(stores);
    return true;
  }, () => false);
  const next = known && change(known);
  if (isStored || !next) memory.changed.delete(uuid);
  else memory.changed.set(uuid, next);
}

/** Mark a write as tried before it is sent: the browser may be closed before the response arrives. */
export async function markTried({ uuid, tried }: QueuedWrite): Promise<void> {
  if (!tried) await changeWrite(uuid, (write) => ({ ...write, tried: true }));
}

/** Store the problem with which the service refused a write; null lets it be sent again. */
export async function markRefused(uuid: string, refused: Problem | null): Promise<void> {
  await changeWrite(uuid, (write) => ({ ...write, refused }));
}

/** Let a write replace another version of its record, under another key if the record was renamed. */
export async function setVersion(uuid: string, version: number, key?: string): Promise<void> {
  await changeWrite(uuid, (write) => (write.kind === 'create' || write.kind === 'upload' ? write : { ...write, version, key: key ?? write.key }));
}

/** Let a file go to its record under another key: the machine was renamed. */
export async function setUploadKey(uuid: string, key: string): Promise<void> {
  await changeWrite(uuid, (write) => (write.kind === 'upload' ? { ...write, key } : write));
}

/** Remove a write from the queue, and the bytes of its file: the service accepted it, or its author deleted it. */
export async function dequeue(uuid: string): Promise<void> {
  memory.removedUuids.add(uuid);
  await changeWrite(uuid, () => null);
  forgetFile(uuid);
}

/** Note that another tab has sent or deleted a write of this one. */
export function forget(uuid: string): void {
  memory.queue.delete(uuid);
  forgetFile(uuid);
}

export async function readCached<T>(name: string): Promise<T | undefined> {
  const stored = memory.known.get(name) ?? (await deviceStorage.use((stores) => transactRead(stores, 'known', (store) => store.get(name)), () => undefined));
  return stored as T | undefined;
}

/** Store a copy of what the service answered. A lost copy is read again, so this does not wait for the disk. */
export async function writeCached(name: string, value: unknown): Promise<void> {
  memory.known.set(name, value);
  const work = (stores: Stores): Promise<void> => transact(stores, ['known'], async (tx) => void (await tx.objectStore('known').put(value, name)), 'relaxed');
  await deviceStorage.use(async (stores) => {
    await work(stores);
    memory.known.delete(name);
  }, () => {});
}

/** Read all copies whose names begin with `prefix`. */
export async function readAllCached<T>(prefix: string): Promise<Map<string, T>> {
  const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
  const work = (stores: Stores): Promise<(readonly [string, unknown])[]> =>
    transactRead(stores, 'known', async (store) => {
      const [names, values] = await Promise.all([store.getAllKeys(range), store.getAll(range)]);
      return names.map((name, index) => [name as string, values[index]] as const);
    });
  const stored = await deviceStorage.use(work, () => []);
  const inMemory = [...memory.known].filter(([name]) => name.startsWith(prefix));
  return new Map([...stored, ...inMemory]) as Map<string, T>;
}

export async function deleteCached(names: readonly string[]): Promise<void> {
  for (const name of names) memory.known.delete(name);
  const work = (stores: Stores): Promise<void> =>
    transact(stores, ['known'], async (tx) => void (await Promise.all(names.map((name) => tx.objectStore('known').delete(name)))), 'relaxed');
  await deviceStorage.use(work, () => {});
}

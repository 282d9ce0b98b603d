import { deviceStorage, transact, transactRead } from '../device/deviceStorage.svelte';
import { serverTime } from '../api/serverTime.svelte';

// The bytes of files that are not sent yet are in the store `known`, one entry for each file. A store of their own would need a new
// version of the database, which a tab of an older build would block. Never change the prefix: browsers hold unsent files with it.
const PREFIX = 'file:';
// A file that nothing refers to is deleted after a day: the form that it belongs to may be about to store its draft.
const ORPHAN_MS = 24 * 60 * 60 * 1000;

interface StoredFile {
  file: Blob;
  savedAt: number;
}

/** The files that were chosen on this page, in case IndexedDB is full or gets deleted. A Blob takes no memory of the page. */
const memory = new Map<string, Blob>();

/** The name of a file's entry in the store. */
export function entryOf(id: string): string {
  return PREFIX + id;
}

/** Keep the bytes of a file until it is sent. Returns whether they are on the disk. */
export async function storeFile(id: string, file: Blob): Promise<boolean> {
  memory.set(id, file);
  const stored: StoredFile = { file, savedAt: serverTime.now() };
  return deviceStorage.use(async (stores) => {
    await transact(stores, ['known'], async (tx) => void (await tx.objectStore('known').put(stored, entryOf(id))));
    return true;
  }, () => false);
}

/** Put the files of this page back, after the browser or the user deleted the database. */
export async function storeFilesAgain(): Promise<void> {
  for (const [id, file] of memory) await storeFile(id, file);
}

/** The bytes of a file; null if this device does not have them any more. */
export async function readFile(id: string): Promise<Blob | null> {
  const stored = await deviceStorage.use((stores) => transactRead(stores, 'known', (store) => store.get(entryOf(id)) as Promise<StoredFile | undefined>), () => undefined);
  return stored?.file ?? memory.get(id) ?? null;
}

export async function deleteFiles(ids: readonly string[]): Promise<void> {
  for (const id of ids) forgetFile(id);
  if (ids.length) await deviceStorage.use((stores) => transact(stores, ['known'], async (tx) => void (await Promise.all(ids.map((id) => tx.objectStore('known').delete(entryOf(id)))))), () => {});
}

/** Remove a file from `memory`; the caller deletes the store's entry. */
export function forgetFile(id: string): void {
  memory.delete(id);
}

/** Delete the files that no draft and no waiting write refers to: the browser ended before their form could store its draft. */
export async function deleteOrphans(): Promise<void> {
  const work = (stores: Parameters<typeof transact>[0]): Promise<void> =>
    transact(stores, ['drafts', 'queue', 'known'], async (tx) => {
      const known = tx.objectStore('known');
      const [drafts, queue, entries] = await Promise.all([tx.objectStore('drafts').getAll(), tx.objectStore('queue').getAll(), known.getAllKeys(IDBKeyRange.bound(PREFIX, `${PREFIX}\uffff`))]);
      const used = new Set([...queue.map(({ uuid }) => uuid), ...drafts.flatMap(({ files = [] }) => files.map(({ id }) => id))].map(entryOf));
      for (const entry of entries.filter((one) => !used.has(one) && !memory.has(one.slice(PREFIX.length)))) {
        const { savedAt } = (await known.get(entry)) as StoredFile;
        if (serverTime.now() - savedAt > ORPHAN_MS) await known.delete(entry);
      }
    }, 'relaxed');
  await deviceStorage.use(work, () => {});
}

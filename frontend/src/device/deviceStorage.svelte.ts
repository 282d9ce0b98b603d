import { openDB, type DBSchema, type IDBPDatabase, type IDBPObjectStore, type IDBPTransaction } from 'idb';
import { storageName } from './rootPath';
import { randomUuid } from './uuid';

/** Form input that was not sent yet. `base` is the record that the form edits. */
export interface StoredDraft {
  values: Record<string, string>;
  base?: unknown;
  /** The UUID that the write gets when the form is sent: a form that is sent twice is one write. */
  uuid?: string;
  /** When the user typed last, in milliseconds. */
  savedAt?: number;
  /** The files that the user chose. `fileStore.ts` has their bytes. */
  files?: readonly ({ id: string } & FileInfo)[];
}

/** The metadata of a file, without its bytes. */
export interface FileInfo {
  name: string;
  /** In bytes. */
  size: number;
  /** The media type, as the browser guesses it. */
  type: string;
}

// Browsers hold unsent writes and drafts in these object stores. Renaming a store or a field would lose them; `known` is
// therefore still the name of the store for the offline cache, and for the bytes of files that are not sent yet.
interface Schema extends DBSchema {
  drafts: { key: string; value: StoredDraft };
  queue: { key: number; value: object & { seq?: number; uuid: string }; indexes: { uuid: string } };
  known: { key: string; value: unknown };
}

export type Stores = IDBPDatabase<Schema>;
type StoreName = 'drafts' | 'queue' | 'known';
type Transaction = IDBPTransaction<Schema, StoreName[], 'readwrite'>;
type ReadStore = IDBPObjectStore<Schema, [StoreName], StoreName>;

const TIMEOUT_MS = 5_000;
// After a timeout, do without the browser's storage for this long: each further attempt would make the user wait as well.
const PAUSE_MS = 30_000;
const MARK = 'mark';

/**
 * IndexedDB, where the browser allows it. The browser may deny access, run out of space, or delete the database while a page is
 * open. A call does not fail then: it returns `otherwise()`, and the caller keeps its data in memory. `keepsNothing` tells
 * whether this happened.
 */
class DeviceStorage {
  /** Whether what the user writes is lost when the page is closed. */
  keepsNothing = $state(false);
  #opened: Promise<Stores> | undefined;
  #mark: string | undefined;
  #pausedUntil = 0;

  /** Run `work` on the stores. Returns `otherwise()` if the browser refuses. */
  async use<T>(work: (stores: Stores) => Promise<T>, otherwise: () => T): Promise<T> {
    for (const _ of ['now', 'after opening again']) {
      if (performance.now() < this.#pausedUntil) break;
      const opened = this.#stores();
      try {
        // WebKit may leave the transactions of a page waiting forever, if it was opened while the page before it was writing.
        return await Promise.race([opened.then(work), rejectAfter(TIMEOUT_MS)]);
      } catch (thrown) {
        // The browser closes the database when the user clears the site's data.
        if (this.#opened === opened) this.#opened = undefined;
        if (!(thrown instanceof StorageTimeout)) continue;
        this.#pausedUntil = performance.now() + PAUSE_MS;
        opened.then((stores) => stores.close()).catch(() => {});
      }
    }
    return otherwise();
  }

  /** Like `use`, for data that the user would miss. Its result decides `keepsNothing`. */
  async useDurably<T>(work: (stores: Stores) => Promise<T>, otherwise: () => T): Promise<T> {
    let isKept = true;
    const result = await this.use(work, () => {
      isKept = false;
      return otherwise();
    });
    this.keepsNothing = !isKept;
    return result;
  }

  /** Whether the database is not the one that this page used before: the browser or the user deleted that one. */
  async wasCleared(): Promise<boolean> {
    const expected = this.#mark;
    return this.use(async (stores) => (await this.#readMark(stores)) !== expected && expected !== undefined, () => false);
  }

  /** Find out whether the browser keeps anything, before the user has typed something. */
  async probe(): Promise<void> {
    await this.useDurably((stores) => transact(stores, ['known'], async (tx) => void (await tx.objectStore('known').put(Date.now(), 'probe'))), () => {});
  }

  #stores(): Promise<Stores> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  async #open(): Promise<Stores> {
    const opening = openDB<Schema>(storageName('machine-monitor'), 1, {
      upgrade(db) {
        db.createObjectStore('drafts');
        db.createObjectStore('known');
        db.createObjectStore('queue', { keyPath: 'seq', autoIncrement: true }).createIndex('uuid', 'uuid', { unique: true });
      },
      terminated: () => (this.#opened = undefined),
    });
    const stores = await opening;
    this.#mark ??= await this.#readMark(stores);
    return stores;
  }

  async #readMark(stores: Stores): Promise<string> {
    const mark = await transactRead(stores, 'known', (known) => known.get(MARK));
    return (mark as string | undefined) ?? this.#createMark(stores);
  }

  #createMark(stores: Stores): Promise<string> {
    return transact(stores, ['known'], async (tx) => {
      const known = tx.objectStore('known');
      const found = (await known.get(MARK)) as string | undefined;
      const mark = found ?? randomUuid();
      if (found === undefined) await known.put(mark, MARK);
      return mark;
    });
  }

  /** Accept the present database as the one to compare with. */
  async acceptMark(): Promise<void> {
    this.#mark = await this.use((stores) => this.#readMark(stores), () => this.#mark as string);
  }
}

/**
 * Run `work` in a transaction. It is on the disk when it ends, because a phone's battery may die right after the write; copies of
 * what the service has are `relaxed`.
 */
export async function transact<T>(stores: Stores, names: StoreName[], work: (tx: Transaction) => Promise<T>, durability: 'strict' | 'relaxed' = 'strict'): Promise<T> {
  const tx = stores.transaction(names, 'readwrite', { durability });
  // If `work` fails, `tx.done` rejects too, and is not awaited. Without this line that would be an unhandled rejection.
  tx.done.catch(() => {});
  const result = await work(tx);
  await tx.done;
  return result;
}

/** Run `work` in a transaction that only reads. */
export async function transactRead<T>(stores: Stores, name: StoreName, work: (store: ReadStore) => Promise<T>): Promise<T> {
  // The shortcuts of `idb`, such as `stores.get`, do not handle the rejection of their transaction.
  const tx = stores.transaction(name);
  tx.done.catch(() => {});
  return work(tx.store as unknown as ReadStore);
}

class StorageTimeout extends Error {}

function rejectAfter(ms: number): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(new StorageTimeout('IndexedDB does not answer')), ms));
}

export const deviceStorage = new DeviceStorage();

import { ApiError } from '../api/error';
import { upload } from '../api/upload';
import { session } from '../api/session.svelte';
import { withTabLock } from '../device/tabLock';
import { readFile } from './fileStore';
import { FILE_LOST, nextUpload, outcomeOf, type QueuedUpload, type QueuedWrite, type StoredRecord } from './queue';

const MIN_RETRY_MS = 2_000;
const MAX_RETRY_MS = 60_000;

/** What the uploads need of the outbox. */
export interface UploadQueue {
  items: () => readonly QueuedWrite[];
  reload: () => Promise<void>;
  accept: (item: QueuedUpload, record: StoredRecord) => Promise<void>;
  refuse: (item: QueuedUpload, error: ApiError) => Promise<void>;
}

/** Sends the files of the outbox, one after another. It runs beside the other writes: no text waits for a large photo. */
export class Uploads {
  /** The file that is being sent, and how much of it has been sent, from 0 to 1. */
  current = $state.raw<{ uuid: string; share: number } | null>(null);
  #queue: UploadQueue;
  #lastRun: Promise<void> = Promise.resolve();
  #retryMs = MIN_RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(queue: UploadQueue) {
    this.#queue = queue;
  }

  /** Send the waiting files, after a run that is already under way. */
  flush(): Promise<void> {
    clearTimeout(this.#retryTimer);
    const run = this.#lastRun.then(async () => {
      if (this.#next()) await withTabLock('mm-uploads', () => this.#sendAll());
    });
    // A failed run must not block the next one.
    this.#lastRun = run.catch(() => {});
    return run;
  }

  #next(): QueuedUpload | null {
    return nextUpload(this.#queue.items(), session.user?.trigram ?? null);
  }

  async #sendAll(): Promise<void> {
    try {
      // The user and the CSRF token may have changed since the last request.
      await session.load();
      if (!session.canRead) return;
      // Another tab had the lock, and may have sent some.
      await this.#queue.reload();
      for (let item = this.#next(); item; item = this.#next()) {
        if (!(await this.#send(item))) return this.#scheduleRetry();
      }
      this.#retryMs = MIN_RETRY_MS;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      this.#scheduleRetry();
    } finally {
      this.current = null;
    }
  }

  /** Send one file. Returns false if it must be retried. */
  async #send(item: QueuedUpload): Promise<boolean> {
    const { uuid } = item;
    const file = await readFile(uuid);
    try {
      if (!file) throw new ApiError({ code: FILE_LOST, status: 400 });
      this.current = { uuid, share: 0 };
      const record = await upload({ method: 'PUT', path: pathOf(item), body: file, onProgress: (share) => (this.current = { uuid, share }) });
      await this.#queue.accept(item, record as StoredRecord);
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      if (outcomeOf('upload', thrown.status, thrown.code) === 'retry') return false;
      await this.#queue.refuse(item, thrown);
    }
    return true;
  }

  #scheduleRetry(): void {
    this.#retryTimer = setTimeout(() => void this.flush(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
  }
}

/** The UUID of the client makes a retry harmless: the service has a file only once. */
function pathOf({ resource, key, uuid, name }: QueuedUpload): string {
  return `/${resource}/${encodeURIComponent(key)}/attachments/${uuid}?name=${encodeURIComponent(name)}`;
}

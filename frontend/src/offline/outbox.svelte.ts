import { api, data } from '../api/client';
import { ApiError, toProblem, type Problem } from '../api/error';
import { session } from '../api/session.svelte';
import { drafts } from './draft.svelte';
import { dequeue, enqueue, forget, markRefused, markTried, readQueue, setUploadKey, setVersion } from './database';
import { differsInFilesOnly, isApplied, isUnrelated, nextToSend, ON_HOLD, outcomeOf, recordOf, withPending, type LogBody, type NewWrite, type QueuedCreate, type QueuedUpdate, type QueuedUpload, type QueuedWrite, type Resource, type StoredRecord } from './queue';
import { Uploads } from './uploads.svelte';
import { openChannel } from '../device/tabChannel';
import { randomUuid } from '../device/uuid';
import { withTabLock } from '../device/tabLock';

const ANSWER_TIMEOUT_MS = 4_000;
const REQUEST_TIMEOUT_MS = 20_000;
const MIN_RETRY_MS = 2_000;
const MAX_RETRY_MS = 60_000;
/** How long a deletion can be undone. */
export const UNDO_MS = 8_000;

export interface WriteResult {
  uuid: string;
  state: 'sent' | 'pending' | 'refused';
  /** Why the service refused the write. */
  problem: Problem | null;
}

/** Where a write comes from: its draft is deleted in the same transaction, and so is a refused write that it replaces. */
export interface Origin {
  /** The UUID of the write. It is the same however often the form is sent. */
  uuid?: string;
  draftKey?: string;
  replaced?: string | null;
}

/** A record and the key in its API path. */
export interface Target {
  resource: Resource;
  key: string;
  /** The record as the user saw it. Its version is the one that the change replaces. */
  base: StoredRecord;
}

/** A file to send, whose bytes are in `fileStore`. */
export type NewUpload = Pick<QueuedUpload, 'uuid' | 'name' | 'size' | 'type'>;

/** A write that is not a file. */
type TextWrite = Exclude<QueuedWrite, QueuedUpload>;
type AcceptListener = (item: QueuedWrite, record: StoredRecord | null) => void;
type Message = { removedUuid: string | null };

/** What the user wrote and the service does not have yet. It is stored on this device and sent in order, each write exactly once. */
class Outbox {
  items = $state.raw<readonly QueuedWrite[]>([]);
  pending = $derived(this.items.filter(({ refused }) => !refused));
  /** The writes of this user. Another user of this device does not see them. */
  own = $derived(this.items.filter(({ by }) => by === null || by === session.user?.trigram));
  readonly uploads = new Uploads({
    items: () => this.items,
    reload: () => this.reload(),
    accept: (item, record) => this.#acceptUpload(item, record),
    refuse: (item, error) => this.#markRefused(item, error),
  });
  #acceptListeners = new Set<AcceptListener>();
  #lastFlush: Promise<void> = Promise.resolve();
  #tabs = openChannel<Message>('mm-outbox', ({ removedUuid }) => {
    if (removedUuid) forget(removedUuid);
    void this.reload();
  });
  #retryMs = MIN_RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    addEventListener('online', () => void this.flush());
    document.addEventListener('visibilitychange', () => document.hidden || void this.flush());
  }

  /** Create a log with files. Returns after at most a few seconds; the files may take longer. */
  create(body: LogBody, { uuid = randomUuid(), files = [], ...origin }: Origin & { files?: readonly NewUpload[] } = {}): Promise<WriteResult> {
    const uploads = files.map((file) => toUpload(file, { resource: 'logs', key: uuid, machine: body.machine }));
    return this.#write({ kind: 'create', uuid, body, wasFixed: Boolean(origin.replaced) }, origin, uploads);
  }

  /** Add files to a record that exists. They are sent in the background. */
  async upload(files: readonly NewUpload[], record: Pick<QueuedUpload, 'resource' | 'key' | 'machine'>): Promise<void> {
    await this.#enqueue(files.map((file) => toUpload(file, record)), {});
    void this.flush();
  }

  /**
   * Change fields of a record. `mergesAlone` is for a press of a button: if another user changed other fields meanwhile, both
   * changes hold. Without it, any change by another user is a conflict for the user to decide.
   */
  update(target: Target, body: Record<string, unknown>, { uuid = randomUuid(), mergesAlone = false, ...origin }: Origin & { mergesAlone?: boolean } = {}): Promise<WriteResult> {
    return this.#write({ kind: 'update', uuid, ...target, body, version: target.base.version, mergesAlone }, origin);
  }

  /** Delete a record after some seconds. Until then, `discard` undoes it. Returns the UUID of the write at once. */
  async remove(target: Target): Promise<string> {
    const uuid = randomUuid();
    await this.#enqueue([{ kind: 'delete', uuid, ...target, version: target.base.version, sendAfter: Date.now() + UNDO_MS }], {});
    void this.flush();
    return uuid;
  }

  /** The waiting writes to a record. */
  itemsOf(resource: Resource, key: string): QueuedWrite[] {
    return this.own.filter((item) => recordOf(item) === `${resource}/${key}`);
  }

  /** The files of a record that wait. */
  uploadsOf(resource: Resource, key: string): QueuedUpload[] {
    return this.itemsOf(resource, key).filter((item) => item.kind === 'upload');
  }

  /** Whether a deletion of the record waits, so that lists leave it out. */
  isDeleting(resource: Resource, key: string): boolean {
    return this.itemsOf(resource, key).some((item) => item.kind === 'delete' && !item.refused);
  }

  /** The record with the changes that wait. */
  withPending<R extends object>(resource: Resource, key: string, record: R): R {
    return withPending(record, this.own, `${resource}/${key}`);
  }

  /** Send the pending writes, after a flush that is already running. */
  flush(): Promise<void> {
    clearTimeout(this.#retryTimer);
    const flush = this.#lastFlush.then(async () => {
      await this.reload();
      if (this.#next()) await withTabLock('mm-outbox', () => this.#sendAll());
      this.#wakeForDeletions();
      void this.uploads.flush();
    });
    // A failed flush must not block the next one.
    this.#lastFlush = flush.catch(() => {});
    return flush;
  }

  /**
   * Keep a write from being sent, because the user opens it to change it. Returns it, or null if it was sent meanwhile. It waits
   * for the user from then on, like a refused write.
   */
  hold(uuid: string): Promise<QueuedWrite | null> {
    // No request of this write is under way while this tab has the lock.
    return withTabLock('mm-outbox', async () => {
      await this.reload();
      const item = this.own.find((one) => one.uuid === uuid) ?? null;
      if (item && !item.refused) await markRefused(uuid, { code: ON_HOLD, status: 0 });
      await this.#reloadAndNotifyTabs(null);
      return item;
    });
  }

  /** Send a write that was held or refused once more, as it is. */
  async release({ uuid }: QueuedWrite): Promise<void> {
    await markRefused(uuid, null);
    await this.#reloadAndNotifyTabs(null);
    await this.flush();
  }

  /** Delete a write. The files of a log that is not sent go with it. */
  async discard({ uuid }: Pick<QueuedWrite, 'uuid'>): Promise<void> {
    const isLog = this.items.some((item) => item.uuid === uuid && item.kind === 'create');
    const files = isLog ? this.uploadsOf('logs', uuid) : [];
    for (const one of [uuid, ...files.map((file) => file.uuid)]) {
      await dequeue(one);
      await this.#reloadAndNotifyTabs(one);
    }
  }

  /** Call the listener when the service has accepted a write, before it leaves the queue. Returns a function that stops that. */
  onAccepted(listener: AcceptListener): () => void {
    this.#acceptListeners.add(listener);
    return () => void this.#acceptListeners.delete(listener);
  }

  /** Read the queue again: another tab may have changed it. */
  async reload(): Promise<void> {
    this.items = await readQueue();
  }

  async #write(write: NewWrite, origin: Origin, uploads: readonly NewWrite[] = []): Promise<WriteResult> {
    await this.#enqueue([write, ...uploads], origin);
    await Promise.race([this.flush(), new Promise((resolve) => setTimeout(resolve, ANSWER_TIMEOUT_MS))]);
    const item = this.items.find((one) => one.uuid === write.uuid);
    return { uuid: write.uuid, state: !item ? 'sent' : item.refused ? 'refused' : 'pending', problem: item?.refused ?? null };
  }

  async #enqueue(writes: readonly NewWrite[], { draftKey, replaced = null }: Origin): Promise<void> {
    // Ask for persistent storage: otherwise the browser may delete the queue when the disk is nearly full.
    void navigator.storage?.persist?.().catch(() => {});
    const by = session.user?.trigram ?? null;
    await enqueue(writes.map((write) => ({ ...write, by })), draftKey ?? null, replaced);
    if (draftKey !== undefined) void drafts.reload();
    await this.#reloadAndNotifyTabs(replaced);
  }

  #next(): TextWrite | null {
    return nextToSend(this.items, session.user?.trigram ?? null, Date.now());
  }

  async #sendAll(): Promise<void> {
    try {
      // The user and the CSRF token may have changed since the last request.
      await session.load();
      if (!session.canRead) return;
      await this.reload();
      for (let item = this.#next(); item; item = this.#next()) {
        if (!(await this.#send(item))) return this.#scheduleRetry();
      }
      this.#retryMs = MIN_RETRY_MS;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      this.#scheduleRetry();
    }
  }

  /** Send one write. Returns false if it must be retried. */
  async #send(item: TextWrite): Promise<boolean> {
    await markTried(item);
    // The user may have discarded the write until now: look once more before it is sent.
    await this.reload();
    if (!this.items.some(({ uuid }) => uuid === item.uuid)) return true;
    const { error, record } = await attempt(item);
    const outcome = outcomeOf(item.kind, error?.status ?? 200);
    if (outcome === 'retry') return false;
    const mayDiffer = item.kind === 'create' && error?.status === 412 && (item.wasFixed || !item.tried);
    if (mayDiffer) await this.#changeStored(item);
    else if (outcome === 'accepted') await this.#accept(item, record);
    else await this.#refuse(item, error!);
    return true;
  }

  async #accept(item: TextWrite, record: StoredRecord | null): Promise<void> {
    await dequeue(item.uuid);
    if (item.kind === 'update' && record) await this.#follow(item, item.version, record);
    await this.#tellAccepted(item, record);
  }

  async #acceptUpload(item: QueuedUpload, record: StoredRecord): Promise<void> {
    await dequeue(item.uuid);
    // A new file is one version. If the version before it is another, a change that waits was not made on top of that one.
    await this.#follow(item, record.version - 1, record);
    await this.#tellAccepted(item, record);
  }

  /** Let the changes that were made on top of this version replace the one that it became: the user made them on this record. */
  async #follow(item: QueuedUpdate | QueuedUpload, before: number, record: StoredRecord): Promise<void> {
    for (const other of this.itemsOf(item.resource, item.key)) {
      const key = keyOf(other, record);
      if (other.kind === 'upload' && key !== undefined) await setUploadKey(other.uuid, key);
      const isOnTop = (other.kind === 'update' || other.kind === 'delete') && other.version === before && (other.seq > item.seq || item.kind === 'upload');
      if (isOnTop) await setVersion(other.uuid, record.version, key);
    }
  }

  async #tellAccepted(item: QueuedWrite, record: StoredRecord | null): Promise<void> {
    for (const listener of this.#acceptListeners) listener(item, record);
    await this.#reloadAndNotifyTabs(item.uuid);
  }

  /**
   * The service has this log, but perhaps with other values: the user fixed it after an earlier request, or another page sent the
   * draft that this page has too. Turn the new log into a change of the stored one.
   */
  async #changeStored(item: QueuedCreate): Promise<void> {
    const base = (await data(api.GET('/logs/{uuid}', { params: { path: { uuid: item.uuid } } }))) as unknown as StoredRecord;
    const target = { resource: 'logs', key: item.uuid, base } as const;
    // Only a new log can create its machine.
    const { unlisted: _, ...body } = item.body;
    await this.#enqueue([{ kind: 'update', uuid: randomUuid(), ...target, body, version: base.version, mergesAlone: false }], { replaced: item.uuid });
  }

  async #refuse(item: TextWrite, error: ApiError): Promise<void> {
    const current = error.status === 412 ? (error.current as StoredRecord | undefined) : undefined;
    if (item.kind === 'update' && current && isApplied(item, current)) return this.#accept(item, current);
    const isNoConflict = item.kind === 'update' && current && (item.mergesAlone ? isUnrelated(item, current) : differsInFilesOnly(item.base, current));
    if (isNoConflict) {
      await setVersion(item.uuid, current.version);
      return this.reload();
    }
    if (item.kind === 'create' && item.tried && (await exists(item.uuid))) return this.#accept(item, null);
    const renamed = item.kind === 'update' && item.tried && error.status === 404 ? await findRenamed(item) : null;
    if (renamed) return this.#accept(item, renamed);
    await this.#markRefused(item, error);
  }

  async #markRefused({ uuid }: QueuedWrite, error: ApiError): Promise<void> {
    await markRefused(uuid, toProblem(error));
    await this.#reloadAndNotifyTabs(null);
  }

  #scheduleRetry(): void {
    this.#retryTimer = setTimeout(() => void this.flush(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
  }

  /** Come back when the next deletion can no longer be undone. */
  #wakeForDeletions(): void {
    const times = this.pending.flatMap((item) => (item.kind === 'delete' ? [item.sendAfter - Date.now()] : []));
    const waiting = times.filter((ms) => ms > 0);
    if (waiting.length) setTimeout(() => void this.flush(), Math.min(...waiting) + 50);
  }

  async #reloadAndNotifyTabs(removedUuid: string | null): Promise<void> {
    await this.reload();
    this.#tabs.post({ removedUuid });
  }
}

function toUpload(file: NewUpload, record: Pick<QueuedUpload, 'resource' | 'key' | 'machine'>): Omit<QueuedUpload, 'seq' | 'by' | 'tried' | 'refused'> {
  return { kind: 'upload', ...file, ...record };
}

/** The new key for later writes to a machine, which may have been renamed. Undefined for resources whose keys do not change. */
function keyOf(other: QueuedWrite, record: StoredRecord): string | undefined {
  return other.kind !== 'create' && other.resource === 'machines' ? (record.name as string) : undefined;
}

/** Make the request of a write. Returns the record as the service answered it, or the error. */
async function attempt(item: TextWrite): Promise<{ error: ApiError | null; record: StoredRecord | null }> {
  try {
    return { error: null, record: ((await request(item)) as StoredRecord | undefined) ?? null };
  } catch (thrown) {
    if (thrown instanceof ApiError) return { error: thrown, record: null };
    throw thrown;
  }
}

function request(item: TextWrite): Promise<unknown> {
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  if (item.kind === 'create') {
    return data(api.PUT('/logs/{uuid}', { params: { path: { uuid: item.uuid } }, body: item.body as never, headers: { 'If-None-Match': '*' }, signal }));
  }
  const { resource, key, version } = item;
  const path = `/${resource}/${encodeURIComponent(key)}` as never;
  const options = { headers: { 'If-Match': `"${version}"` }, signal };
  return item.kind === 'delete' ? data(api.DELETE(path, options as never)) : data(api.PATCH(path, { ...options, body: item.body } as never));
}

/**
 * Whether the service has this log. An earlier request may have arrived although its response was lost, and the service may
 * refuse the same log now, for example because its type was deactivated in between.
 */
async function exists(uuid: string): Promise<boolean> {
  try {
    await api.GET('/logs/{uuid}', { params: { path: { uuid }, query: { fields: 'uuid' } } });
    return true;
  } catch (thrown) {
    if (thrown instanceof ApiError && !thrown.isTransient) return false;
    throw thrown;
  }
}

/** The machine under the name that this change gives it, if it has it: the response to an earlier request was lost. */
async function findRenamed(item: QueuedUpdate): Promise<StoredRecord | null> {
  if (item.resource !== 'machines' || typeof item.body.name !== 'string') return null;
  try {
    const found = (await data(api.GET('/machines/{name}', { params: { path: { name: item.body.name } } }))) as unknown as StoredRecord;
    return isApplied(item, found) ? found : null;
  } catch (thrown) {
    if (thrown instanceof ApiError && !thrown.isTransient) return null;
    throw thrown;
  }
}

export const outbox = new Outbox();

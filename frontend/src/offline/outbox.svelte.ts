import { api } from '../api/client';
import { ApiError, toProblem } from '../api/error';
import { session } from '../api/session.svelte';
import { dequeue, enqueue, markRefused, markTried, readQueue } from './database';
import { nextToSend, outcomeOf, type LogBody, type QueuedLog } from './queue';
import { withTabLock } from './tabLock';
import { randomUuid } from './uuid';

// `post` returns after this time at the latest; the outbox then continues to send in the background.
const MAX_POST_WAIT_MS = 4_000;
const REQUEST_TIMEOUT_MS = 20_000;
const MIN_RETRY_MS = 2_000;
const MAX_RETRY_MS = 60_000;

export interface PostResult {
  uuid: string;
  state: 'sent' | 'pending' | 'refused';
}

/** New logs that the service does not have yet. They are stored on this device and sent in order, each exactly once. */
class Outbox {
  items = $state.raw<readonly QueuedLog[]>([]);
  pending = $derived(this.items.filter(({ refused }) => !refused));
  refused = $derived(this.items.filter(({ refused }) => refused));
  #lastFlush: Promise<void> = Promise.resolve();
  #otherTabs = new BroadcastChannel('mm-outbox');
  #retryMs = MIN_RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#otherTabs.onmessage = () => void this.reload();
    addEventListener('online', () => void this.flush());
    document.addEventListener('visibilitychange', () => document.hidden || void this.flush());
  }

  /** Queue a log and try to send it. If it corrects a refused log, `refusedUuid` is the UUID of that log, which leaves the queue. */
  async post(body: LogBody, draftKey: string, refusedUuid: string | null = null): Promise<PostResult> {
    const uuid = randomUuid();
    // Ask for persistent storage: otherwise the browser may delete the queue when the disk is nearly full.
    void navigator.storage?.persist?.();
    await enqueue({ uuid, by: session.user?.trigram ?? null, body }, draftKey, refusedUuid);
    await this.#reloadAndNotifyTabs();
    await Promise.race([this.flush(), new Promise((resolve) => setTimeout(resolve, MAX_POST_WAIT_MS))]);
    const item = this.items.find((one) => one.uuid === uuid);
    return { uuid, state: !item ? 'sent' : item.refused ? 'refused' : 'pending' };
  }

  /** Send the pending logs. If a flush is already running, wait for its end first. */
  flush(): Promise<void> {
    clearTimeout(this.#retryTimer);
    const flush = this.#lastFlush.then(async () => {
      await this.reload();
      if (this.pending.length) await withTabLock('mm-outbox', () => this.#sendAll());
    });
    // A failed flush must not block the next one.
    this.#lastFlush = flush.catch(() => {});
    return flush;
  }

  async discard(item: QueuedLog): Promise<void> {
    await dequeue(item.uuid);
    await this.#reloadAndNotifyTabs();
  }

  async #sendAll(): Promise<void> {
    try {
      // The user and the CSRF token may have changed since the last request.
      await session.load();
      if (!session.canRead) return;
      for (let item = await this.#nextItem(); item; item = await this.#nextItem()) {
        if (!(await this.#send(item))) return this.#scheduleRetry();
      }
      this.#retryMs = MIN_RETRY_MS;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      this.#scheduleRetry();
    }
  }

  async #nextItem(): Promise<QueuedLog | null> {
    return nextToSend(await readQueue(), session.user?.trigram ?? null);
  }

  /** Send one log. Returns false if it must be retried. */
  async #send(item: QueuedLog): Promise<boolean> {
    const { uuid, body } = item;
    await markTried(item);
    const error = await errorOf(() =>
      api.PUT('/logs/{uuid}', { params: { path: { uuid } }, body: body as never, headers: { 'If-None-Match': '*' }, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }),
    );
    const outcome = outcomeOf(error?.status ?? 200);
    if (outcome === 'retry') return false;
    if (outcome === 'refused' && !(item.tried && (await exists(uuid)))) await markRefused(uuid, toProblem(error!));
    else await dequeue(uuid);
    await this.#reloadAndNotifyTabs();
    return true;
  }

  #scheduleRetry(): void {
    this.#retryTimer = setTimeout(() => void this.flush(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
  }

  /** Read the queue again: another tab may have changed it. */
  async reload(): Promise<void> {
    this.items = await readQueue();
  }

  async #reloadAndNotifyTabs(): Promise<void> {
    await this.reload();
    this.#otherTabs.postMessage('changed');
  }
}

async function errorOf(call: () => Promise<unknown>): Promise<ApiError | null> {
  try {
    await call();
    return null;
  } catch (thrown) {
    if (thrown instanceof ApiError) return thrown;
    throw thrown;
  }
}

/**
 * Whether the service has this log. An earlier request may have arrived although its response was lost, and the service may
 * refuse the same log now, for example because its type was deactivated in between.
 */
async function exists(uuid: string): Promise<boolean> {
  return (await errorOf(() => api.GET('/logs/{uuid}', { params: { path: { uuid }, query: { fields: 'uuid' } } }))) === null;
}

export const outbox = new Outbox();

import { api } from '../api/client';
import { ApiError, toProblem } from '../api/error';
import { session } from '../api/session.svelte';
import { dequeue, enqueue, markRefused, markTried, readQueue } from './database';
import { nextToSend, outcomeOf, type LogBody, type QueuedLog } from './queue';
import { singleFlight } from './singleFlight';
import { randomUuid } from './uuid';

const POST_TIMEOUT_MS = 4_000;
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
  #tabs = new BroadcastChannel('mm-outbox');
  #retryMs = MIN_RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#tabs.onmessage = () => void this.reload();
    addEventListener('online', () => void this.flush());
    document.addEventListener('visibilitychange', () => document.hidden || void this.flush());
  }

  /** Queue a log and send it, in place of a refused one if `replaced` is its UUID. Returns after at most a few seconds. */
  async post(body: LogBody, draftKey: string, replaced: string | null = null): Promise<PostResult> {
    const uuid = randomUuid();
    // Ask for persistent storage: otherwise the browser may delete the queue when the disk is nearly full.
    void navigator.storage?.persist?.();
    await enqueue({ uuid, by: session.user?.trigram ?? null, body }, draftKey, replaced);
    await this.#reloadAndNotifyTabs();
    await Promise.race([this.flush(), new Promise((resolve) => setTimeout(resolve, POST_TIMEOUT_MS))]);
    const item = this.items.find((one) => one.uuid === uuid);
    return { uuid, state: !item ? 'sent' : item.refused ? 'refused' : 'pending' };
  }

  /** Send the pending logs, after a flush that is already running. */
  flush(): Promise<void> {
    clearTimeout(this.#retryTimer);
    const flush = this.#lastFlush.then(async () => {
      await this.reload();
      if (this.pending.length) await singleFlight('mm-outbox', () => this.#sendAll());
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
      for (let item = await this.#next(); item; item = await this.#next()) {
        if (!(await this.#send(item))) return this.#scheduleRetry();
      }
      this.#retryMs = MIN_RETRY_MS;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      this.#scheduleRetry();
    }
  }

  async #next(): Promise<QueuedLog | null> {
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
    this.#tabs.postMessage('changed');
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

import { ROOT_PATH } from '../device/rootPath';
import type { Change } from './events.svelte';
import { api, data, unauthorized } from './client';
import { ApiError, errorFromResponse, isAborted } from './error';
import { readAfter } from './readAfter';
import { readEvents, type StreamEvent } from './eventStream';

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;
// The service writes at least a comment every 15 seconds: after this long, the connection is dead.
const MAX_SILENCE_MS = 45_000;
const POLL_LIMIT = 1_000;

/** The object that receives the changes of the stream. */
export interface Receiver {
  /** Whether the connection is open. */
  live: boolean;
  tell: (change: Change) => void;
  /** Called when the history was replaced or changes were missed. */
  reload: () => void;
}

/** The connection to the change feed. It comes back by itself after every failure, and continues after the last change. */
export class ChangeStream {
  /** The id of the last event: `seq-epoch`. Null if it is unknown, and after the history was replaced. */
  #position: string | null = null;
  /** Whether changes were missed, so that the pages must load again what they show. */
  #hasMissedChanges = false;
  #receiver: Receiver;

  constructor(receiver: Receiver) {
    this.#receiver = receiver;
  }

  /** Keep a connection open, until the signal is aborted. */
  async follow(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      let retryAfter = 0;
      try {
        await this.#connect(signal, () => (failures = 0));
      } catch (thrown) {
        if (thrown instanceof ApiError) {
          retryAfter = thrown.retryAfter ?? 0;
          // Too many streams are open.
          if (thrown.status === 429) await this.#poll();
        } else if (!(thrown instanceof TypeError) && !isAborted(thrown)) {
          // Not the network: a bug of a listener, which must not end the feed for the others.
          reportError(thrown);
        }
      }
      if (signal.aborted) return;
      this.#receiver.live = false;
      // A random part, so that the consoles do not all come back at once when the service was restarted.
      const delay = Math.min(FIRST_DELAY_MS * 2 ** failures++, MAX_DELAY_MS) * (0.5 + Math.random() / 2);
      await pause(Math.max(delay, retryAfter * 1000), signal);
    }
  }

  /** Open a connection, and read it to its end. Throws if it is refused or breaks. */
  async #connect(signal: AbortSignal, onOpen: () => void): Promise<void> {
    const request = new AbortController();
    const stop = (): void => request.abort();
    signal.addEventListener('abort', stop);
    let silence = setTimeout(stop, MAX_SILENCE_MS);
    const onReceive = (): void => {
      clearTimeout(silence);
      silence = setTimeout(stop, MAX_SILENCE_MS);
    };
    try {
      const headers = { Accept: 'text/event-stream', ...(this.#position && { 'Last-Event-ID': this.#position }) };
      const response = await fetch(`${ROOT_PATH}/events`, { headers, cache: 'no-store', signal: request.signal });
      // A proxy may answer 200 with a page of its own.
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
      if (!response.ok || !isStream || !response.body) throw await refusal(response);
      onOpen();
      this.#receiver.live = true;
      for await (const event of readEvents(response.body, onReceive)) if (!this.#receive(event)) return;
    } finally {
      clearTimeout(silence);
      signal.removeEventListener('abort', stop);
      stop();
    }
  }

  /** Handle an event. Returns false if the connection is of no more use. */
  #receive({ name, id, data }: StreamEvent): boolean {
    if (name === 'replaced') {
      // The service would now send the whole history. Connect again for new changes only, and then reload the page once.
      this.#forgetPosition();
      return false;
    }
    this.#position = id ?? this.#position;
    this.#reloadIfNeeded();
    if (name === 'change') {
      const change = JSON.parse(data) as Change;
      readAfter.observe(change.read_after);
      this.#receiver.tell(change);
    }
    return true;
  }

  /** Read the changes since the last one, page by page, without a stream. */
  async #poll(): Promise<void> {
    try {
      for (let isWhole = false; !isWhole && this.#position; ) {
        const [since, epoch] = this.#position.split('-');
        const page = await data(api.GET('/changes', { params: { query: { since: Number(since), epoch: epoch!, limit: POLL_LIMIT } } }));
        for (const change of page.items) this.#receiver.tell(change as Change);
        this.#position = `${page.next}-${page.epoch}`;
        isWhole = page.items.length < POLL_LIMIT;
      }
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      if (thrown.code === 'history-replaced') this.#forgetPosition();
      else return;
    }
    if (this.#position === null) this.#hasMissedChanges = true;
    this.#reloadIfNeeded();
  }

  #forgetPosition(): void {
    readAfter.forget();
    this.#position = null;
    this.#hasMissedChanges = true;
  }

  #reloadIfNeeded(): void {
    if (!this.#hasMissedChanges) return;
    this.#hasMissedChanges = false;
    this.#receiver.reload();
  }
}

/** Return the error of a refused connection. After a 401 the browser is signed out, as after any other request. */
async function refusal(response: Response): Promise<ApiError> {
  const error = await errorFromResponse(response);
  if (error.status === 401) unauthorized.listener();
  return error;
}

/** Wait, but not longer than the network is away. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      removeEventListener('online', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}

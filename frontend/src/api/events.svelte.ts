import { api, data, unauthorized } from './client';
import { ApiError, errorFromResponse, isAborted } from './error';
import { readEvents, type StreamEvent } from './eventStream';

export interface Change {
  seq: number;
  op: 'create' | 'update' | 'delete' | 'restore' | 'rename' | 'merge' | 'import';
  resource: string;
  key: string;
  user: string | null;
}

interface Listener {
  onChange: (change: Change) => void;
  onReload: () => void;
}

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;
// The service writes at least a comment every 15 seconds: after this long, the connection is dead.
const MAX_SILENCE_MS = 45_000;
const POLL_LIMIT = 1_000;

/**
 * The change feed. All listeners share one connection, because browsers allow only six connections to a host. It comes back by
 * itself after every failure. A tab in the background closes its connection; when the user returns to the tab, it reads the
 * changes it missed.
 */
class Events {
  /** Whether the connection is open. */
  live = $state(false);
  /** Called when anything may have changed, for what no page shows now. */
  onReload = (): void => {};
  #listeners = new Set<Listener>();
  #abort: AbortController | null = null;
  /** The id of the last event: `seq-epoch`. Null if it is unknown, and after the history was replaced. */
  #position: string | null = null;
  /** Whether changes were missed, so that the pages must load again what they show. */
  #hasMissedChanges = false;

  constructor() {
    document.addEventListener('visibilitychange', () => this.#openOrClose());
  }

  /**
   * Call `onChange` for each change. `onReload` is called when the history was replaced, for example by a restored backup, or
   * when changes were missed: whatever is on screen may be different. Returns a function that stops listening.
   */
  listen(onChange: Listener['onChange'], onReload: Listener['onReload']): () => void {
    const listener = { onChange, onReload };
    this.#listeners.add(listener);
    this.#openOrClose();
    return () => {
      this.#listeners.delete(listener);
      this.#openOrClose();
    };
  }

  #openOrClose(): void {
    const isNeeded = this.#listeners.size > 0 && !document.hidden;
    if (isNeeded && !this.#abort) {
      this.#abort = new AbortController();
      void this.#follow(this.#abort.signal);
    }
    if (!isNeeded && this.#abort) {
      this.#abort.abort();
      this.#abort = null;
      this.live = false;
    }
  }

  /** Keep a connection open, until the signal is aborted. */
  async #follow(signal: AbortSignal): Promise<void> {
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
      this.live = false;
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
      const response = await fetch('/events', { headers, cache: 'no-store', signal: request.signal });
      // A proxy may answer 200 with a page of its own.
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
      if (!response.ok || !isStream || !response.body) throw await refusal(response);
      onOpen();
      this.live = true;
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
      // What follows is the whole history. Connect again for new changes, and then load once what is on screen.
      this.#forgetPosition();
      return false;
    }
    this.#position = id ?? this.#position;
    this.#reloadIfNeeded();
    if (name === 'change') this.#tell(JSON.parse(data) as Change);
    return true;
  }

  /** Read the changes since the last one, page by page, without a stream. */
  async #poll(): Promise<void> {
    try {
      for (let isWhole = false; !isWhole && this.#position; ) {
        const [since, epoch] = this.#position.split('-');
        const page = await data(api.GET('/changes', { params: { query: { since: Number(since), epoch: epoch!, limit: POLL_LIMIT } } }));
        for (const change of page.items) this.#tell(change as Change);
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
    this.#position = null;
    this.#hasMissedChanges = true;
  }

  #reloadIfNeeded(): void {
    if (!this.#hasMissedChanges) return;
    this.#hasMissedChanges = false;
    this.onReload();
    for (const { onReload } of this.#listeners) onReload();
  }

  #tell(change: Change): void {
    for (const { onChange } of this.#listeners) onChange(change);
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

export const events = new Events();

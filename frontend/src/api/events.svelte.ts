export interface Change {
  seq: number;
  op: 'create' | 'update' | 'delete' | 'restore' | 'rename' | 'merge' | 'import';
  resource: string;
  key: string;
  user: string | null;
}

type Listener = (change: Change) => void;

/**
 * The change feed. All listeners share one `EventSource` connection, because browsers allow only six connections to a host.
 * A tab in the background closes its connection; when the user returns to the tab, it reads the changes it missed.
 */
class Events {
  /** Whether the connection is open. */
  live = $state(false);
  #listeners = new Set<Listener>();
  #source: EventSource | null = null;
  #lastSeq: number | null = null;

  constructor() {
    document.addEventListener('visibilitychange', () => this.#openOrClose());
  }

  /** Call the listener for each change. Returns a function that stops listening. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#openOrClose();
    return () => {
      this.#listeners.delete(listener);
      this.#openOrClose();
    };
  }

  #openOrClose(): void {
    const isNeeded = this.#listeners.size > 0 && !document.hidden;
    if (isNeeded && !this.#source) this.#open();
    if (!isNeeded && this.#source) this.#close();
  }

  #open(): void {
    const source = new EventSource(this.#lastSeq === null ? '/events' : `/events?since=${this.#lastSeq}`);
    source.onopen = () => (this.live = true);
    source.onerror = () => (this.live = false);
    source.addEventListener('change', (event: MessageEvent<string>) => {
      const change = JSON.parse(event.data) as Change;
      this.#lastSeq = change.seq;
      for (const listener of this.#listeners) listener(change);
    });
    this.#source = source;
  }

  #close(): void {
    this.#source?.close();
    this.#source = null;
    this.live = false;
  }
}

export const events = new Events();

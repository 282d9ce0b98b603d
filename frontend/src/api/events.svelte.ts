export interface Change {
  seq: number;
  op: 'create' | 'update' | 'delete' | 'restore' | 'rename' | 'import';
  resource: string;
  key: string;
  user: string | null;
}

type Listener = (change: Change) => void;

/**
 * All changes as they happen, by one connection that its listeners share. A tab in the background has none, for a browser
 * has six of a host in all; when it comes back it hears what it missed.
 */
class Events {
  /** Whether changes arrive; false while the connection is being made or is lost. */
  live = $state(false);
  #listeners = new Set<Listener>();
  #source: EventSource | null = null;
  #last: number | null = null;

  constructor() {
    document.addEventListener('visibilitychange', () => this.#settle());
  }

  /** Hear changes until the answer is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#settle();
    return () => {
      this.#listeners.delete(listener);
      this.#settle();
    };
  }

  #settle(): void {
    const wanted = this.#listeners.size > 0 && !document.hidden;
    if (wanted && !this.#source) this.#open();
    if (!wanted && this.#source) this.#close();
  }

  #open(): void {
    const source = new EventSource(this.#last === null ? '/events' : `/events?since=${this.#last}`);
    source.onopen = () => (this.live = true);
    source.onerror = () => (this.live = false);
    source.addEventListener('change', (event: MessageEvent<string>) => {
      const change = JSON.parse(event.data) as Change;
      this.#last = change.seq;
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

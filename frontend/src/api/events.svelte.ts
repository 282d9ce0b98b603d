import type { ChangeStream, Receiver } from './changeStream';

export interface Change {
  seq: number;
  op: 'create' | 'update' | 'delete' | 'restore' | 'rename' | 'merge' | 'import';
  resource: string;
  key: string;
  user: string | null;
  /** Present if a standby answers reads. */
  read_after?: string;
}

interface Listener {
  onChange: (change: Change) => void;
  onReload: () => void;
}

/**
 * The change feed. All listeners share one connection, because browsers allow only six connections to a host. It comes back by
 * itself after every failure. A tab in the background closes its connection; when the user returns to the tab, it reads the
 * changes it missed.
 */
class Events implements Receiver {
  /** Whether the connection is open. */
  live = $state(false);
  /** Called when anything may have changed, for what no page shows now. */
  onReload = (): void => {};
  #listeners = new Set<Listener>();
  #abort: AbortController | null = null;
  #stream: ChangeStream | null = null;

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

  /** The stream is loaded after the page, because the first load needs no changes. */
  async #follow(signal: AbortSignal): Promise<void> {
    try {
      this.#stream ??= new (await import('./changeStream')).ChangeStream(this);
    } catch {
      // The network failed. The page tries again when the user returns to it.
      if (this.#abort?.signal === signal) this.#abort = null;
      return;
    }
    await this.#stream.follow(signal);
  }

  tell(change: Change): void {
    for (const { onChange } of this.#listeners) onChange(change);
  }

  reload(): void {
    this.onReload();
    for (const { onReload } of this.#listeners) onReload();
  }
}

export const events = new Events();

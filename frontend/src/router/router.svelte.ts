import { parse, type Pair } from './query';
import { BASE, match, type Place } from './routes';

interface Address {
  pathname: string;
  search: string;
  hash: string;
}

/** Where the browser is, followed: what reads it is drawn again when it changes. */
class Router {
  #address = $state.raw<Address>({ pathname: location.pathname, search: location.search, hash: location.hash });
  #found = $derived(match(this.#address.pathname));
  query: readonly Pair[] = $derived(parse(this.#address.search));

  constructor() {
    addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#follow(event));
  }

  get place(): Place | null {
    return this.#found?.place ?? null;
  }

  get parameters(): Record<string, string> {
    return this.#found?.parameters ?? {};
  }

  get pathname(): string {
    return this.#address.pathname;
  }

  get search(): string {
    return this.#address.search;
  }

  get hash(): string {
    return this.#address.hash;
  }

  /** Go to an address of the console; `replace` leaves the present one out of the history. */
  go(address: string, { replace = false } = {}): void {
    if (address === location.pathname + location.search + location.hash) return;
    // What is left behind is known, so that to close a record can be to go back.
    const state = { from: location.pathname + location.search };
    if (replace) history.replaceState(history.state, '', address);
    else history.pushState(state, '', address);
    this.#read();
  }

  /** Go back if that leads to this address, else go there. */
  leave(address: string): void {
    if ((history.state as { from?: string } | null)?.from === address) history.back();
    else this.go(address, { replace: true });
  }

  #read(): void {
    this.#address = { pathname: location.pathname, search: location.search, hash: location.hash };
  }

  #follow(event: MouseEvent): void {
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!plain || event.defaultPrevented || !link || link.target || link.hasAttribute('download')) return;
    if (link.origin !== location.origin || !`${link.pathname}/`.startsWith(`${BASE}/`)) return;
    event.preventDefault();
    this.go(link.pathname + link.search + link.hash, { replace: link.hasAttribute('data-replace') });
  }
}

export const router = new Router();

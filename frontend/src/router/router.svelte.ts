import { parseQuery, type QueryPair } from './query';
import { ROOT_PATH } from '../device/rootPath';
import { BASE, matchRoute, type RouteName } from './routes';

interface Address {
  pathname: string;
  search: string;
  hash: string;
  entry: string;
}

interface EntryState {
  /** Where the user came from. */
  from?: string;
  /** Identifies the history entry; absent in the first one. */
  entry?: string;
}

/** The current route and address. Both are reactive: components that read them update on navigation. */
class Router {
  #address = $state.raw<Address>(currentAddress());
  #match = $derived(matchRoute(this.#address.pathname));
  query: readonly QueryPair[] = $derived(parseQuery(this.#address.search));

  constructor() {
    // Opened at the service itself, without the prefix of its proxy: the service knows both addresses.
    if (`${location.pathname}/`.startsWith('/ui/')) this.go(ROOT_PATH + location.pathname + location.search + location.hash, { replace: true });
    addEventListener('popstate', () => this.#readAddress());
    document.addEventListener('click', (event) => this.#onClick(event));
  }

  get route(): RouteName | null {
    return this.#match?.route ?? null;
  }

  get parameters(): Record<string, string> {
    return this.#match?.parameters ?? {};
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

  /** An identifier of the current history entry. It is the same again when the user comes back to the entry. */
  get entry(): string {
    return this.#address.entry;
  }

  /** Navigate to an address of the console. With `replace`, the current history entry is overwritten. */
  go(address: string, { replace = false } = {}): void {
    if (address === location.pathname + location.search + location.hash) return;
    // Store where the user came from, so that closing a record can go back in the history.
    const state: EntryState = { from: location.pathname + location.search, entry: String(Math.random()) };
    if (replace) history.replaceState(history.state, '', address);
    else history.pushState(state, '', address);
    this.#readAddress();
  }

  /** Go back in the history if the previous address is this one; otherwise navigate to it. */
  goBackTo(address: string): void {
    if ((history.state as { from?: string } | null)?.from === address) history.back();
    else this.go(address, { replace: true });
  }

  /** Return a function that tells whether the user is still on this page: work that ends later must not navigate if not. */
  watchPage(): () => boolean {
    const { pathname, entry } = this.#address;
    return () => this.#address.pathname === pathname && this.#address.entry === entry;
  }

  /** Return `go` for work that ends later: it does nothing if the user has left this page meanwhile. */
  goFromHere(): typeof this.go {
    const isStillHere = this.watchPage();
    return (address, options) => {
      if (isStillHere()) this.go(address, options);
    };
  }

  #readAddress(): void {
    this.#address = currentAddress();
  }

  /** Navigate without a page load when the user clicks a link of the console. */
  #onClick(event: MouseEvent): void {
    const isPlainClick = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!isPlainClick || event.defaultPrevented || !link || link.target || link.hasAttribute('download')) return;
    if (link.origin !== location.origin || !`${link.pathname}/`.startsWith(`${BASE}/`)) return;
    event.preventDefault();
    this.go(link.pathname + link.search + link.hash, { replace: link.hasAttribute('data-replace') });
  }
}

function currentAddress(): Address {
  const entry = (history.state as EntryState | null)?.entry ?? 'first';
  return { pathname: location.pathname, search: location.search, hash: location.hash, entry };
}

export const router = new Router();

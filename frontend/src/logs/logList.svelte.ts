import { tick } from 'svelte';
import type { Change } from '../api/events.svelte';
import { api, data } from '../api/client';
import { ApiError, isAborted } from '../api/error';
import { getFirst, setParam, type QueryPair } from '../router/query';
import { PAGE_SIZE, readNewestUuids, readPage, type Page, type Row } from './requests';

// The list keeps this many pages, so that the memory of a tab does not grow while the user scrolls.
const MAX_PAGES = 8;
const DEBOUNCE_MS = 400;

/** What a list has loaded, to show it again later. */
export interface Snapshot {
  query: readonly QueryPair[];
  pages: Page[];
  total: number | null;
  capped: boolean;
}

/** The rows of a list of logs: a window of pages that moves with the user's scrolling, and the count of newer logs. */
export class LogList {
  rows = $state.raw<Row[]>([]);
  /** The search that the rows answer. It may be older than what the user has typed. */
  shownSearch = $state('');
  total = $state<number | null>(null);
  capped = $state(false);
  /** How many matching logs were added since the list was loaded. */
  newCount = $state(0);
  deletedUuids = $state.raw<ReadonlySet<string>>(new Set());
  isLoaded = $state(false);
  error = $state.raw<ApiError | null>(null);
  /** Whether the last update changed the start of the list. The virtual list then keeps the visible rows in place. */
  isPrepending = $state(false);

  #query: readonly QueryPair[] = [];
  /** The query that the rows answer. */
  #answeredQuery: readonly QueryPair[] | null = null;
  #pages = $state.raw<Page[]>([]);
  #isLoadingPage = false;
  #abort: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Whether the rows reach the end of the list. */
  get isComplete(): boolean {
    return this.isLoaded && !this.#pages.at(-1)?.next;
  }

  /** Load the list from its start. The old rows stay visible until the response arrives. */
  async load(query: readonly QueryPair[]): Promise<void> {
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#query = query;
    try {
      const page = await readPage(setParam(query, 'count', 'capped'), abort.signal);
      this.isPrepending = false;
      this.deletedUuids = new Set();
      this.newCount = 0;
      this.total = page.total;
      this.capped = page.total_capped;
      this.shownSearch = getFirst(query, 'q') ?? '';
      this.error = null;
      this.#answeredQuery = query;
      this.#setPages([page]);
      this.isLoaded = true;
    } catch (thrown) {
      this.#handleError(thrown);
    }
  }

  get snapshot(): Snapshot {
    return { query: this.#query, pages: this.#pages, total: this.total, capped: this.capped };
  }

  /** Whether the rows start at the start of the list: none were dropped while the user scrolled down. */
  get isAtStart(): boolean {
    return !this.#pages[0]?.previous;
  }

  /** Show rows that were loaded earlier. New logs are counted; rows that changed meanwhile are updated by the change feed. */
  restore({ query, pages, total, capped }: Snapshot): void {
    this.#abort?.abort();
    this.#abort = new AbortController();
    this.#query = query;
    this.isPrepending = false;
    this.deletedUuids = new Set();
    this.newCount = 0;
    this.total = total;
    this.capped = capped;
    this.shownSearch = getFirst(query, 'q') ?? '';
    this.error = null;
    this.#answeredQuery = query;
    this.#setPages(pages);
    this.isLoaded = true;
    void this.#countNewLogs();
  }

  refresh(): Promise<void> {
    return this.load(this.#query);
  }

  /** Append the next page, and drop the first one if there are too many. */
  async loadNext(): Promise<void> {
    await this.#loadPage(this.#pages.at(-1)?.next, async (page) => {
      if (this.#pages.length >= MAX_PAGES) await this.#updatePages(true, this.#pages.slice(1));
      await this.#updatePages(false, [...this.#pages, page]);
    });
  }

  /** Prepend the previous page, and drop the last one if there are too many. */
  async loadPrevious(): Promise<void> {
    await this.#loadPage(this.#pages[0]?.previous, async (page) => {
      if (this.#pages.length >= MAX_PAGES) await this.#updatePages(false, this.#pages.slice(0, -1));
      await this.#updatePages(true, [page, ...this.#pages]);
    });
  }

  /** Apply a change of the feed: update the row in place, or count a new log. No row moves. */
  handleChange(change: Change): void {
    if (change.resource !== 'logs') return;
    if (change.op === 'restore' && getFirst(this.#query, 'deleted') === 'true') this.#removeRow(change.key);
    else if (change.op === 'delete') this.deletedUuids = new Set([...this.deletedUuids, change.key]);
    else if (this.rows.some((row) => row.uuid === change.key)) void this.#reloadRow(change.key);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#countNewLogs(), DEBOUNCE_MS);
  }

  /** In a list of deleted logs, a log that was restored has no place. */
  #removeRow(uuid: string): void {
    this.#setPages(this.#pages.map((page) => ({ ...page, items: page.items.filter((row) => row.uuid !== uuid) })));
    if (this.total) this.total -= 1;
  }

  async #reloadRow(uuid: string): Promise<void> {
    try {
      const row = (await data(api.GET('/logs/{uuid}', { params: { path: { uuid } } }))) as Row;
      const replace = (old: Row): Row => (old.uuid === uuid ? { ...old, ...row } : old);
      this.deletedUuids = new Set([...this.deletedUuids].filter((one) => one !== uuid));
      this.#setPages(this.#pages.map((page) => ({ ...page, items: page.items.map(replace) })));
    } catch (thrown) {
      // The log was deleted since, or there is no network. The next change updates the row.
      if (!(thrown instanceof ApiError)) throw thrown;
    }
  }

  /** Count the logs that are newer than the first row. If the first page is no longer loaded, scrolling up loads them anyway. */
  async #countNewLogs(): Promise<void> {
    if (this.#pages[0]?.previous) return;
    try {
      const shown = new Set(this.rows.map((row) => row.uuid));
      const newest = await readNewestUuids(this.#query);
      this.newCount = newest.slice(0, Math.min(PAGE_SIZE, newest.length)).filter((uuid) => !shown.has(uuid)).length;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
    }
  }

  async #loadPage(cursor: string | null | undefined, add: (page: Page) => Promise<void>): Promise<void> {
    if (!cursor || this.#isLoadingPage) return;
    this.#isLoadingPage = true;
    const query = this.#query;
    try {
      const page = await readPage(setParam(query, 'cursor', cursor), this.#abort?.signal);
      if (query === this.#query) await add(page);
    } catch (thrown) {
      this.#handleError(thrown);
    } finally {
      this.#isLoadingPage = false;
    }
  }

  /** Change one end of the list and render. The virtual list sees only the length, so it needs one end at a time. */
  async #updatePages(isPrepending: boolean, pages: Page[]): Promise<void> {
    this.isPrepending = isPrepending;
    this.#setPages(pages);
    await tick();
  }

  #setPages(pages: Page[]): void {
    this.#pages = pages;
    this.rows = pages.flatMap((page) => page.items);
  }

  #handleError(thrown: unknown): void {
    if (isAborted(thrown)) return;
    if (!(thrown instanceof ApiError)) throw thrown;
    this.isLoaded = true;
    // Rows that are on screen stay there if only the network is gone. The bar says so.
    this.error = thrown.isTransient && this.#query === this.#answeredQuery ? null : thrown;
  }
}

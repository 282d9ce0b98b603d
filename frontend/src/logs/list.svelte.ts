import { tick } from 'svelte';
import type { Change } from '../api/events.svelte';
import { api, data } from '../api/client';
import { Failure, isAborted } from '../api/failure';
import { first, set, type Pair } from '../router/query';
import { PAGE_SIZE, readHead, readPage, type Page, type Row } from './requests';

// So many pages are kept: a tab's memory stays flat however far one scrolls.
const KEPT = 8;
const PATIENCE_MS = 400;

/** The list on screen: a window of pages, which cursors move down and up; and what is new since it was read. */
export class LogList {
  rows = $state.raw<Row[]>([]);
  /** The search that the rows answer, which may be behind what is typed. */
  answered = $state('');
  total = $state<number | null>(null);
  capped = $state(false);
  /** How many match that are not among the rows. */
  fresh = $state(0);
  gone = $state.raw<ReadonlySet<string>>(new Set());
  ready = $state(false);
  failure = $state.raw<Failure | null>(null);
  /** Whether the rows changed at their beginning last: the virtual list keeps its place from the end. */
  shifted = $state(false);

  #pairs: readonly Pair[] = [];
  #pages = $state.raw<Page[]>([]);
  #moving = false;
  #abort: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  get isWhole(): boolean {
    return this.ready && !this.#pages.at(-1)?.next;
  }

  /** Read the list anew. The former rows stay until the answer is there. */
  async load(pairs: readonly Pair[]): Promise<void> {
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#pairs = pairs;
    try {
      const page = await readPage(set(pairs, 'count', 'capped'), abort.signal);
      this.shifted = false;
      this.gone = new Set();
      this.fresh = 0;
      this.total = page.total;
      this.capped = page.total_capped;
      this.answered = first(pairs, 'q') ?? '';
      this.failure = null;
      this.#keep([page]);
      this.ready = true;
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  refresh(): Promise<void> {
    return this.load(this.#pairs);
  }

  /** Add the page after the last one, and forget the first of too many. */
  async forward(): Promise<void> {
    await this.#move(this.#pages.at(-1)?.next, async (page) => {
      if (this.#pages.length >= KEPT) await this.#turn(true, this.#pages.slice(1));
      await this.#turn(false, [...this.#pages, page]);
    });
  }

  /** Add the page before the first one, and forget the last of too many. */
  async back(): Promise<void> {
    await this.#move(this.#pages[0]?.previous, async (page) => {
      if (this.#pages.length >= KEPT) await this.#turn(false, this.#pages.slice(0, -1));
      await this.#turn(true, [page, ...this.#pages]);
    });
  }

  /** Take note of a change: rows change in place, new ones are counted, nothing moves. */
  hear(change: Change): void {
    if (change.resource !== 'logs') return;
    if (change.op === 'delete') this.gone = new Set([...this.gone, change.key]);
    else if (this.rows.some((row) => row.uuid === change.key)) void this.#renew(change.key);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), PATIENCE_MS);
  }

  async #renew(uuid: string): Promise<void> {
    try {
      const row = (await data(api.GET('/logs/{uuid}', { params: { path: { uuid } } }))) as Row;
      const renewed = (old: Row): Row => (old.uuid === uuid ? { ...old, ...row } : old);
      this.gone = new Set([...this.gone].filter((one) => one !== uuid));
      this.#keep(this.#pages.map((page) => ({ ...page, items: page.items.map(renewed) })));
    } catch (thrown) {
      // It was deleted since, or the network is away: the next change tells.
      if (!(thrown instanceof Failure)) throw thrown;
    }
  }

  /** Count what is new at the head of the list; further down it will be met when it is scrolled to. */
  async #look(): Promise<void> {
    if (this.#pages[0]?.previous) return;
    try {
      const known = new Set(this.rows.map((row) => row.uuid));
      const head = await readHead(this.#pairs);
      this.fresh = head.slice(0, Math.min(PAGE_SIZE, head.length)).filter((uuid) => !known.has(uuid)).length;
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
    }
  }

  async #move(cursor: string | null | undefined, take: (page: Page) => Promise<void>): Promise<void> {
    if (!cursor || this.#moving) return;
    this.#moving = true;
    const pairs = this.#pairs;
    try {
      const page = await readPage(set(pairs, 'cursor', cursor), this.#abort?.signal);
      if (pairs === this.#pairs) await take(page);
    } catch (thrown) {
      this.#fail(thrown);
    } finally {
      this.#moving = false;
    }
  }

  /** Change one end at a time: the virtual list tells the ends apart by the length alone, once it has rendered. */
  async #turn(atStart: boolean, pages: Page[]): Promise<void> {
    this.shifted = atStart;
    this.#keep(pages);
    await tick();
  }

  #keep(pages: Page[]): void {
    this.#pages = pages;
    this.rows = pages.flatMap((page) => page.items);
  }

  #fail(thrown: unknown): void {
    if (isAborted(thrown)) return;
    if (!(thrown instanceof Failure)) throw thrown;
    this.failure = thrown;
    this.ready = true;
  }
}

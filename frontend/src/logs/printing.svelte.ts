import { flushSync, tick } from 'svelte';
import { api, data, type Schemas } from '../api/client';
import { asApiError } from '../api/error';
import { formatQuery, setParam, type QueryPair } from '../router/query';
import type { Row } from './requests';

/** A printout has at most this many logs: some 50 pages. */
export const MAX_ROWS = 2_000;
const PAGE_SIZE = '500';

/**
 * Prints a list of logs. The list on the screen holds only some of the rows, so `print` loads the others first. The browser's
 * own Print command cannot wait for them: it prints the rows that are there, and the printout says how many are missing.
 */
export class LogPrinter {
  /** The rows to print; null while nothing is printed. */
  rows = $state.raw<readonly Row[] | null>(null);
  /** How many logs match the filter. */
  total = $state(0);
  /** Whether rows are being loaded. */
  busy = $state(false);
  #query: () => readonly QueryPair[];
  #shown: () => { rows: readonly Row[]; total: number | null };
  #loadPrintout: () => Promise<unknown>;

  /**
   * `query` is the query of the list for the API, and `shown` are the rows that it has loaded. A page that loads `PrintedLogs`
   * after its rows passes its `loadPrintout`, because nothing is printed without that component.
   */
  constructor(
    query: () => readonly QueryPair[],
    shown: () => { rows: readonly Row[]; total: number | null },
    loadPrintout: () => Promise<unknown> = () => Promise.resolve(),
  ) {
    this.#query = query;
    this.#shown = shown;
    this.#loadPrintout = loadPrintout;
  }

  /** Watch the browser's Print command and its keyboard shortcut. Returns a function that stops watching. */
  watch(): () => void {
    const before = (): void => {
      if (this.rows) return;
      const { rows, total } = this.#shown();
      this.total = Math.max(total ?? 0, rows.length);
      this.rows = rows;
      // The browser takes the page as it is when this handler returns.
      flushSync();
    };
    const after = (): void => void (this.rows = null);
    const onkeydown = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() !== 'p' || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
      event.preventDefault();
      void this.print();
    };
    addEventListener('beforeprint', before);
    addEventListener('afterprint', after);
    addEventListener('keydown', onkeydown);
    return () => {
      removeEventListener('keydown', onkeydown);
      removeEventListener('beforeprint', before);
      removeEventListener('afterprint', after);
    };
  }

  /** Load all rows, and open the browser's print dialog. If they cannot be loaded, the printout has those on the screen. */
  async print(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      const [{ rows, total }] = await Promise.all([readAll(this.#query()), this.#loadPrintout()]);
      this.total = total;
      this.rows = rows;
      await tick();
    } catch (thrown) {
      asApiError(thrown);
    } finally {
      this.busy = false;
    }
    window.print();
  }
}

async function readAll(query: readonly QueryPair[]): Promise<{ rows: Row[]; total: number }> {
  const rows: Row[] = [];
  let cursor: string | null = null;
  let total = 0;
  // The rows and the total come from several requests, between which logs may be written: the total is at least the rows.
  do {
    const pairs: QueryPair[] = setParam(query, 'limit', PAGE_SIZE);
    const text: string = formatQuery(cursor === null ? setParam(pairs, 'count', 'exact') : setParam(pairs, 'cursor', cursor)).slice(1);
    const page: Schemas['LogPage'] = await data(api.GET('/logs', { querySerializer: () => text }));
    rows.push(...(page.items as Row[]));
    total ||= page.total ?? 0;
    cursor = page.next ?? null;
  } while (cursor !== null && rows.length < MAX_ROWS);
  return { rows: rows.slice(0, MAX_ROWS), total: Math.max(total, rows.length) };
}

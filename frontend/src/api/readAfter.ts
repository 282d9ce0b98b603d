import { ROOT_PATH } from '../device/rootPath';

const HEADER = 'X-Read-After';
// Names the position in downloads, in other tabs and after a reload.
const COOKIE = 'mm_read_after';
// A standby that is further behind is not asked.
const COOKIE_SECONDS = 60;

/**
 * The newest write of the database that this tab knows of, as a position of the database's log. Where a standby answers reads, it
 * must have come as far: the user would otherwise miss what they have just written. Other services send no positions.
 */
class ReadAfter {
  #position = '';

  /** Learn from a response or a change. */
  observe(position: string | null | undefined): void {
    if (!position || sortable(position) <= sortable(this.#position)) return;
    this.#position = position;
    setCookie(position, COOKIE_SECONDS);
  }

  observeResponse(response: Response): void {
    this.observe(response.headers.get(HEADER));
  }

  addTo(request: Request): void {
    if (this.#position) request.headers.set(HEADER, this.#position);
  }

  /** The history was replaced: positions of the former database say nothing about this one. */
  forget(): void {
    this.#position = '';
    setCookie('', 0);
  }
}

function setCookie(value: string, seconds: number): void {
  // A service worker has no document.
  if (globalThis.document) document.cookie = `${COOKIE}=${value}; Max-Age=${seconds}; Path=${ROOT_PATH || '/'}; SameSite=Strict`;
}

/** Two hexadecimal numbers with a slash between them, as texts that compare like these numbers. */
function sortable(position: string): string {
  return position
    .split('/')
    .map((number) => number.padStart(8, '0'))
    .join('')
    .toUpperCase();
}

export const readAfter = new ReadAfter();

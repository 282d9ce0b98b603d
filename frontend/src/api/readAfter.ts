const HEADER = 'X-Read-After';

/**
 * How far this tab has seen the writes of the database, as a position of its log. Where a standby answers reads, it must have come
 * as far: the user would otherwise miss what they have just written. Other services send no positions.
 */
class ReadAfter {
  #position = '';

  /** Learn from a response or a change. */
  observe(position: string | null | undefined): void {
    if (position && sortable(position) > sortable(this.#position)) this.#position = position;
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
  }
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

import { readAllPages } from '../api/pagination';
import { api, data, type Schemas } from '../api/client';
import { asApiError, type ApiError } from '../api/error';

export type CreatedToken = Schemas['TokenCreated'];
export type Token = Omit<CreatedToken, 'token'>;

/** The tokens of one user, or of all users. */
export class TokenList {
  items = $state.raw<readonly Token[] | null>(null);
  error = $state.raw<ApiError | null>(null);
  #user: string | undefined;
  #abort: AbortController | null = null;

  /** Load the tokens of one user; without `user`, those of all users. */
  async load(user?: string): Promise<void> {
    if (user !== this.#user) this.items = null;
    this.#user = user;
    this.#abort?.abort();
    const { signal } = (this.#abort = new AbortController());
    try {
      const query = { limit: 500, sort: '-created_at', ...(user && { user: [user] }) };
      const items = await readAllPages<Token>((cursor) => data(api.GET('/tokens', { signal, params: { query: { ...query, ...(cursor && { cursor }) } } })));
      if (signal.aborted) return;
      this.items = items;
      this.error = null;
    } catch (thrown) {
      if (!signal.aborted) this.error = asApiError(thrown);
    }
  }

  /** Create a token. Throws an `ApiError`. */
  async create(body: Schemas['TokenCreate']): Promise<CreatedToken> {
    const created = await data(api.POST('/tokens', { body }));
    await this.load(this.#user);
    return created;
  }

  /** Revoke a token. Throws an `ApiError`. */
  async revoke(id: number): Promise<void> {
    await api.DELETE('/tokens/{id}', { params: { path: { id: String(id) } } });
    this.items = this.items?.filter((token) => token.id !== id) ?? null;
  }
}

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

  async load(user?: string): Promise<void> {
    this.#user = user;
    try {
      const query = { limit: 500, sort: '-created_at', ...(user && { user: [user] }) };
      this.items = await readAllPages<Token>((cursor) => data(api.GET('/tokens', { params: { query: { ...query, ...(cursor && { cursor }) } } } as never)));
      this.error = null;
    } catch (thrown) {
      this.error = asApiError(thrown);
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

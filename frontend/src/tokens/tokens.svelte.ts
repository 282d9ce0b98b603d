import { all } from '../api/all';
import { api, data, type Schemas } from '../api/client';
import { asFailure, type Failure } from '../api/failure';

export type Made = Schemas['TokenCreated'];
export type Token = Omit<Made, 'token'>;

/** The tokens of one user, or of all. */
export class Tokens {
  list = $state.raw<readonly Token[] | null>(null);
  failure = $state.raw<Failure | null>(null);
  #user: string | undefined;

  async load(user?: string): Promise<void> {
    this.#user = user;
    try {
      const query = { limit: 500, sort: '-created_at', ...(user && { user: [user] }) };
      this.list = await all<Token>((cursor) => data(api.GET('/tokens', { params: { query: { ...query, ...(cursor && { cursor }) } } } as never)));
      this.failure = null;
    } catch (thrown) {
      this.failure = asFailure(thrown);
    }
  }

  /** Make one; throws a `Failure`. */
  async make(body: Schemas['TokenCreate']): Promise<Made> {
    const made = await data(api.POST('/tokens', { body }));
    await this.load(this.#user);
    return made;
  }

  /** End one; throws a `Failure`. */
  async revoke(id: number): Promise<void> {
    await api.DELETE('/tokens/{id}', { params: { path: { id: String(id) } } });
    this.list = this.list?.filter((token) => token.id !== id) ?? null;
  }
}

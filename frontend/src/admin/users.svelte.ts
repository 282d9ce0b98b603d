import { readAllPages } from '../api/pagination';
import { api, data, type User } from '../api/client';
import { asApiError, type ApiError } from '../api/error';
import { fold } from '../logs/highlight';

/** All users. Pages reload the list when a user changes. */
class UserList {
  all = $state.raw<readonly User[] | null>(null);
  error = $state.raw<ApiError | null>(null);
  #abort: AbortController | null = null;

  async load(): Promise<void> {
    this.#abort?.abort();
    const { signal } = (this.#abort = new AbortController());
    try {
      const readPage = (cursor?: string) => data(api.GET('/users', { signal, params: { query: { limit: 500, ...(cursor && { cursor }) } } }));
      const all = await readAllPages<User>(readPage);
      if (signal.aborted) return;
      this.all = all;
      this.error = null;
    } catch (thrown) {
      if (!signal.aborted) this.error = asApiError(thrown);
    }
  }

  find(trigram: string): User | undefined {
    return this.all?.find((one) => one.trigram.toLowerCase() === trigram.toLowerCase());
  }
}

export const users = new UserList();

/** The full name of a user, or the trigram if there is none. */
export function nameOf(user: Pick<User, 'first_name' | 'last_name' | 'trigram'>): string {
  return [user.first_name, user.last_name].filter(Boolean).join(' ') || user.trigram;
}

/** The users that match a search: each word must be the start of a name or of the trigram. */
export function findByName(all: readonly User[], search: string): User[] {
  const words = wordsOf(search);
  return all.filter((user) => {
    const names = wordsOf(`${user.trigram} ${user.first_name ?? ''} ${user.last_name ?? ''}`);
    return words.every((word) => names.some((name) => name.startsWith(word)));
  });
}

function wordsOf(text: string): string[] {
  return fold(text).split(/[\s-]+/).filter(Boolean);
}

import { all } from '../api/all';
import { api, data, type User } from '../api/client';
import { asFailure, type Failure } from '../api/failure';
import { fold } from '../logs/hits';

/** Everybody, read once and again when somebody was changed. */
class People {
  everyone = $state.raw<readonly User[] | null>(null);
  failure = $state.raw<Failure | null>(null);

  async load(): Promise<void> {
    try {
      const read = (cursor?: string) => data(api.GET('/users', { params: { query: { limit: 500, ...(cursor && { cursor }) } } }));
      this.everyone = await all<User>(read);
      this.failure = null;
    } catch (thrown) {
      this.failure = asFailure(thrown);
    }
  }

  find(trigram: string): User | undefined {
    return this.everyone?.find((one) => one.trigram.toLowerCase() === trigram.toLowerCase());
  }
}

export const people = new People();

export function nameOf(user: Pick<User, 'first_name' | 'last_name' | 'trigram'>): string {
  return [user.first_name, user.last_name].filter(Boolean).join(' ') || user.trigram;
}

/** Who is meant by these words: each is the beginning of a name or of the trigram. */
export function named(everyone: readonly User[], words: string): User[] {
  const wanted = fold(words).split(/\s+/).filter(Boolean);
  return everyone.filter((user) => {
    const names = fold(`${user.trigram} ${user.first_name ?? ''} ${user.last_name ?? ''}`).split(/[\s-]+/);
    return wanted.every((word) => names.some((name) => name.startsWith(word)));
  });
}

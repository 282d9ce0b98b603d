import { api, csrf, data, refused, type Me, type Role, type Schemas, type User } from './client';
import { asFailure, Failure } from './failure';
import { forget, recall, remember } from './memory';

// Who sat here last: without a network one goes on as the same, and what one writes waits for the service to agree.
const KEY = 'mm.me';
const RANKS: Role[] = ['viewer', 'operator', 'lead', 'supervisor', 'admin'];

/** Who sits before the screen. `user` is null for who reads without an account, and before it is known. */
class Session {
  user = $state.raw<User | null>(null);
  /** Whether the API lets this browser read. */
  known = $state(false);
  scope = $state<Me['scope']>('read');

  constructor() {
    refused.listener = () => this.forget();
    csrf.renew = () => this.#renew();
  }

  /** Ask who one is; without an answer one is who one was. Throws a `Failure` other than 401. */
  async find(): Promise<void> {
    try {
      const me = await data(api.GET('/me'));
      this.#take(me.user ?? null, me.csrf_token ?? null, me.scope);
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (failure.status === 401) return this.forget();
      const last = recall<{ user: User | null; scope: Me['scope'] }>(KEY);
      if (failure.isPassing && last && !this.known) {
        this.user = last.user;
        this.scope = last.scope;
        this.known = true;
      }
      throw thrown;
    }
  }

  async signIn(trigram: string, password: string): Promise<void> {
    const { user, csrf_token } = await data(api.POST('/session', { body: { trigram, password } }));
    this.#take(user, csrf_token);
  }

  async setUp(body: Schemas['SetUp']): Promise<void> {
    const { user, csrf_token } = await data(api.POST('/setup', { body }));
    this.#take(user, csrf_token);
  }

  async signOut(): Promise<void> {
    await api.DELETE('/session');
    forget(KEY);
    this.forget();
    // Where anyone may read, one goes on as nobody.
    await this.find();
  }

  /** Whether the role is at least this one. On an open site who is nobody may do all. */
  may(role: Role): boolean {
    if (this.user) return RANKS.indexOf(this.user.role) >= RANKS.indexOf(role);
    return this.known && (this.scope === 'admin' || role === 'viewer');
  }

  /** Know nobody any more, as the service does. */
  forget(): void {
    this.user = null;
    this.known = false;
    csrf.token = null;
  }

  /** What another tab signed in to holds here too; a write of somebody else's is not sent in the name of who is there now. */
  async #renew(): Promise<void> {
    const before = this.user?.trigram;
    await this.find();
    if (this.user?.trigram !== before) throw new Failure({ code: 'somebody-else', status: 403 });
  }

  #take(user: User | null, token: string | null, scope: Me['scope'] = 'admin'): void {
    // Asked again, the same user is no change.
    if (JSON.stringify(user) !== JSON.stringify(this.user)) this.user = user;
    csrf.token = token;
    this.scope = scope;
    this.known = true;
    remember(KEY, { user, scope });
  }
}

export const session = new Session();

import { api, csrf, data, unauthorized, type Me, type Role, type Schemas, type User } from './client';
import { ApiError, asApiError } from './error';
import { readLocal, removeLocal, writeLocal } from '../device/localStorage';

/** The last user of this browser. Without network the console continues as this user; the outbox sends what they write later. */
export const SESSION_KEY = 'mm.me';
const ROLES: Role[] = ['viewer', 'operator', 'lead', 'supervisor', 'admin'];

/** The session of the current user. `user` is null before the API has answered, and on a site that is open to all. */
class Session {
  user = $state.raw<User | null>(null);
  /** Whether this browser may read the API: signed in, or the site is open to all. */
  canRead = $state(false);
  scope = $state<Me['scope']>('read');
  #signOutListeners: (() => void | Promise<void>)[] = [];

  constructor() {
    unauthorized.listener = () => this.clear();
    csrf.renew = () => this.#renew();
  }

  /** Load the current user. Without network, fall back to the last user. Throws every `ApiError` except a 401. */
  async load(): Promise<void> {
    try {
      const me = await data(api.GET('/me'));
      this.#set(me.user ?? null, me.csrf_token ?? null, me.scope);
    } catch (thrown) {
      const error = asApiError(thrown);
      if (error.status === 401) return this.clear();
      const last = readLocal<{ user: User | null; scope: Me['scope'] }>(SESSION_KEY);
      if (error.isTransient && last && !this.canRead) {
        this.user = last.user;
        this.scope = last.scope;
        this.canRead = true;
      }
      throw thrown;
    }
  }

  async signIn(trigram: string, password: string): Promise<void> {
    const { user, csrf_token } = await data(api.POST('/session', { body: { trigram, password } }));
    this.#set(user, csrf_token);
  }

  async setUp(body: Schemas['SetUp']): Promise<void> {
    const { user, csrf_token } = await data(api.POST('/setup', { body }));
    this.#set(user, csrf_token);
  }

  /** Call the listener when a user signs out. It deletes what the next user of this device must not read. */
  onSignOut(listener: () => void | Promise<void>): void {
    this.#signOutListeners.push(listener);
  }

  async signOut(): Promise<void> {
    // It may not be loaded yet, and its copies have to go too.
    await import('../offline/copies');
    try {
      await api.DELETE('/session');
    } catch (thrown) {
      // The session has ended already, but its copies are still here.
      if (asApiError(thrown).status !== 401) throw thrown;
    }
    await Promise.all(this.#signOutListeners.map((listener) => listener()));
    removeLocal(SESSION_KEY);
    this.clear();
    // On a site that is open to all, the visitor can still read.
    await this.load();
  }

  /** Whether the user has at least this role. On a site that is open to all, every visitor has all rights. */
  hasRole(role: Role): boolean {
    if (this.user) return ROLES.indexOf(this.user.role) >= ROLES.indexOf(role);
    return this.canRead && (this.scope === 'admin' || role === 'viewer');
  }

  /** Forget the user, after the service has ended the session. */
  clear(): void {
    this.user = null;
    this.canRead = false;
    csrf.token = null;
  }

  /** Get a new CSRF token. Throws if another user signed in meanwhile: the request must not be sent in their name. */
  async #renew(): Promise<void> {
    const before = this.user?.trigram;
    await this.load();
    // The outbox may have stored this code with a refused log, so it must not change.
    if (this.user?.trigram !== before) throw new ApiError({ code: 'somebody-else', status: 403 });
  }

  #set(user: User | null, token: string | null, scope: Me['scope'] = 'admin'): void {
    // Assign only if the user changed: every assignment reruns the effects that read it.
    if (JSON.stringify(user) !== JSON.stringify(this.user)) this.user = user;
    csrf.token = token;
    this.scope = scope;
    this.canRead = true;
    writeLocal(SESSION_KEY, { user, scope });
  }
}

export const session = new Session();

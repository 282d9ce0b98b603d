import createClient, { type Middleware } from 'openapi-fetch';
import { Failure, failureOf } from './failure';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
// An answer has every field; those with a default are optional in a body alone.
export type Log = Required<Schemas['LogRead']>;
export type Machine = Schemas['MachineRead'];
export type User = Schemas['UserRead'];
export type Me = Schemas['Me'];
export type LogType = Schemas['LogTypeRead'];
export type Role = User['role'];
export type Severity = Log['severity'];
export type Status = Log['status'];

/** What writes by cookie carry; `session` keeps it. */
export const csrf = { token: null as string | null };

/** Called when an answer says that nobody is signed in. */
export const refused = { listener: () => {} };

const manners: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET' && csrf.token) request.headers.set('X-CSRF-Token', csrf.token);
    return request;
  },
  async onResponse({ response, request }) {
    if (response.ok) return response;
    const failure = await failureOf(response);
    if (failure.status === 401 && !request.url.endsWith('/session')) refused.listener();
    throw failure;
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === 'AbortError') return error;
    return error instanceof Failure ? error : new Failure({ code: 'offline', status: 0 });
  },
};

/** The API, typed by its own document. Every call answers or throws a `Failure`. */
export const api = createClient<paths>({ baseUrl: '/', headers: { Accept: 'application/json' } });
api.use(manners);

/** The data of an answer, which is there: a failure was thrown before. */
export async function data<T>(call: Promise<{ data?: T }>): Promise<T> {
  return (await call).data as T;
}

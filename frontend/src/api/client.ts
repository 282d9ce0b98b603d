import createClient, { type Middleware } from 'openapi-fetch';
import { Failure, failureOf } from './failure';
import { network } from './network.svelte';
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

/** What writes by cookie carry; `session` keeps it, and asks for the one of now. */
export const csrf = { token: null as string | null, renew: async () => {} };

/** Called when an answer says that nobody is signed in. */
export const refused = { listener: () => {} };

const manners: Middleware = {
  async onResponse({ response, request }) {
    network.away = false;
    if (response.ok) return response;
    const failure = await failureOf(response);
    if (failure.status === 401 && !request.url.endsWith('/session')) refused.listener();
    throw failure;
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === 'AbortError') return error;
    if (error instanceof Failure) return error;
    network.away = true;
    return new Failure({ code: 'offline', status: 0 });
  },
};

/** Send a request. Where another tab signed in again, this one has the token of a session that is over: it asks and sends once more. */
async function send(request: Request): Promise<Response> {
  const token = csrf.token;
  if (request.method === 'GET' || !token) return fetch(request);
  const again = request.clone();
  request.headers.set('X-CSRF-Token', token);
  const response = await fetch(request);
  if (response.status !== 403) return response;
  await csrf.renew();
  if (!csrf.token || csrf.token === token) return response;
  again.headers.set('X-CSRF-Token', csrf.token);
  return fetch(again);
}

/** The API, typed by its own document. Every call answers or throws a `Failure`. */
export const api = createClient<paths>({ baseUrl: '/', headers: { Accept: 'application/json' }, fetch: send });
api.use(manners);

/** The data of an answer, which is there: a failure was thrown before. */
export async function data<T>(call: Promise<{ data?: T }>): Promise<T> {
  return (await call).data as T;
}

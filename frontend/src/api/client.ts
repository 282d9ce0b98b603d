import createClient, { type Middleware } from 'openapi-fetch';
import { ApiError, errorFromResponse } from './error';
import { network } from './network.svelte';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
// The schema marks fields with a default as optional. That is true of request bodies only: responses have every field.
export type Log = Required<Schemas['LogRead']>;
export type Machine = Schemas['MachineRead'];
export type User = Schemas['UserRead'];
export type Me = Schemas['Me'];
export type LogType = Schemas['LogTypeRead'];
export type Role = User['role'];
export type Severity = Log['severity'];
export type Status = Log['status'];

/** The CSRF token that write requests send. `session`, which imports this module, sets both fields. */
export const csrf = { token: null as string | null, renew: async () => {} };

/** `listener` runs when the API answers 401: the browser is signed out. */
export const unauthorized = { listener: () => {} };

const errorMiddleware: Middleware = {
  async onResponse({ response, request }) {
    network.isOffline = false;
    if (response.ok) return response;
    const error = await errorFromResponse(response);
    if (error.status === 401 && !request.url.endsWith('/session')) unauthorized.listener();
    throw error;
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === 'AbortError') return error;
    if (error instanceof ApiError) return error;
    network.isOffline = true;
    return new ApiError({ code: 'offline', status: 0 });
  },
};

/**
 * Send a request with the CSRF token. If the user signed in again in another tab, this tab's token belongs to a session that
 * has ended; the request is then sent once more with a new token.
 */
async function send(request: Request): Promise<Response> {
  const token = csrf.token;
  if (request.method === 'GET' || !token) return fetch(request);
  const retry = request.clone();
  request.headers.set('X-CSRF-Token', token);
  const response = await fetch(request);
  if (response.status !== 403) return response;
  await csrf.renew();
  if (!csrf.token || csrf.token === token) return response;
  retry.headers.set('X-CSRF-Token', csrf.token);
  return fetch(retry);
}

/** The API client, typed from the API's OpenAPI document. Every call returns a response or throws an `ApiError`. */
export const api = createClient<paths>({ baseUrl: '/', headers: { Accept: 'application/json' }, fetch: send });
api.use(errorMiddleware);

/** Return the data of a response. It is always present, because a failed call throws an `ApiError`. */
export async function data<T>(call: Promise<{ data?: T }>): Promise<T> {
  return (await call).data as T;
}

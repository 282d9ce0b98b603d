import createClient, { type Middleware } from 'openapi-fetch';
import { ROOT_PATH } from '../device/rootPath';
import { ApiError, errorFromResponse, isAborted } from './error';
import { network } from './network.svelte';
import { readAfter } from './readAfter';
import { serverTime } from './serverTime.svelte';
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

export interface Copy {
  /** JSON, as the API sent it. */
  body: string;
  /** When the API sent it, in milliseconds. */
  at: number;
}

// A page makes some ten requests. The list must not grow if `offline/copies` cannot be loaded.
const MAX_EARLY_RESPONSES = 30;

/** The responses that arrived before `offline/copies` was loaded: the first page does without it. */
export const earlyResponses: [Request, Response][] = [];

/** Copies of responses, for use without network. `offline/copies` replaces both functions when it is loaded. */
export const copies = {
  cacheResponse(request: Request, response: Response): void {
    // The caller reads the body too.
    if (request.method === 'GET' && earlyResponses.length < MAX_EARLY_RESPONSES) earlyResponses.push([request, response.clone()]);
  },
  find: async (url: string): Promise<Copy | null> => (await import('../offline/copies').catch(() => null))?.find(url) ?? null,
};

// Longer than the service takes for any query, shorter than a user waits in front of an empty page.
const READ_TIMEOUT_MS = 20_000;

// Marks a response that `onError` made: openapi-fetch hands it to `onResponse` too.
const COPY_HEADER = 'X-Copy';

const errorMiddleware: Middleware = {
  async onResponse({ response, request }) {
    if (response.headers.has(COPY_HEADER)) return response;
    network.setOnline();
    if (response.ok) {
      copies.cacheResponse(request, response);
      return response;
    }
    const error = await errorFromResponse(response);
    if (error.status === 401 && !request.url.endsWith('/session')) unauthorized.listener();
    throw error;
  },
  async onError({ error, request }) {
    if (error instanceof DOMException && error.name === 'AbortError') return error;
    if (error instanceof ApiError) return error;
    const copy = request.method === 'GET' ? await copies.find(request.url) : null;
    network.setOffline(copy?.at ?? null);
    if (copy) return new Response(copy.body, { headers: { 'Content-Type': 'application/json', [COPY_HEADER]: 'true' } });
    return new ApiError({ code: 'offline', status: 0 });
  },
};

/**
 * Send a request with the CSRF token. If the user signed in again in another tab, this tab's token belongs to a session that
 * has ended; the request is then sent once more with a new token.
 */
async function send(request: Request): Promise<Response> {
  const token = csrf.token;
  if (request.method === 'GET' || !token) return timedFetch(request);
  const retry = request.clone();
  request.headers.set('X-CSRF-Token', token);
  const response = await timedFetch(request);
  if (response.status !== 403) return response;
  await csrf.renew();
  if (!csrf.token || csrf.token === token) return response;
  retry.headers.set('X-CSRF-Token', csrf.token);
  return timedFetch(retry);
}

/** Fetch, and learn from the response: the clock of the service, and how far its database has come. */
async function timedFetch(request: Request): Promise<Response> {
  if (request.method === 'GET') readAfter.addTo(request);
  const sent = Date.now();
  // `AbortSignal.any` is missing in browsers from before 2024.
  const canLimit = request.method === 'GET' && 'any' in AbortSignal;
  const response = await network.track(canLimit ? fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(READ_TIMEOUT_MS)]) }) : fetch(request));
  readAfter.observeResponse(response);
  serverTime.observe(response.headers.get('date'), sent, Date.now());
  return response;
}

/** The API client, typed from the API's OpenAPI document. Every call returns a response or throws an `ApiError`. */
export const api = createClient<paths>({ baseUrl: `${ROOT_PATH}/`, headers: { Accept: 'application/json' }, fetch: send });
api.use(errorMiddleware);

/** Return the data of a response. It is always present, because a failed call throws an `ApiError`. */
export async function data<T>(call: Promise<{ data?: T }>): Promise<T> {
  try {
    return (await call).data as T;
  } catch (thrown) {
    // The connection was lost while the body arrived. Only the head of a response passes `onError`.
    const isCutOff = thrown instanceof SyntaxError || (thrown instanceof TypeError && !isAborted(thrown)) || (thrown instanceof DOMException && thrown.name === 'TimeoutError');
    throw isCutOff ? new ApiError({ code: 'offline', status: 0 }) : thrown;
  }
}

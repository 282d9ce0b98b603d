import { csrf, unauthorized } from './client';
import { ApiError, errorFromResponse } from './error';
import { network } from './network.svelte';
import { readAfter } from './readAfter';
import { ROOT_PATH } from '../device/rootPath';

// The service hashes and inspects a file before it responds. A request that made no progress for longer is lost.
const STALL_MS = 60_000;

/** A request with a large body. `onProgress` gets the share that has been sent, from 0 to 1: `fetch` cannot tell it. */
interface Upload {
  method: 'POST' | 'PUT';
  path: string;
  body: Blob | FormData;
  onProgress: (share: number) => void;
  signal?: AbortSignal;
}

/** Send an upload and return the JSON of its response. Throws an `ApiError`, or an `AbortError` if `signal` aborted it. */
export async function upload(request: Upload): Promise<unknown> {
  const token = csrf.token;
  try {
    return await send(request);
  } catch (thrown) {
    // The user may have signed in again in another tab, see `send` of the client.
    if (!(thrown instanceof ApiError) || thrown.status !== 403 || !token) throw thrown;
    await csrf.renew();
    if (!csrf.token || csrf.token === token) throw thrown;
    return send(request);
  }
}

async function send(upload: Upload): Promise<unknown> {
  const response = await network.track(transfer(upload));
  network.setOnline();
  if (response.status === 401) unauthorized.listener();
  if (!response.ok) throw await errorFromResponse(response);
  try {
    return (await response.json()) as unknown;
  } catch {
    throw offline();
  }
}

function transfer({ method, path, body, onProgress, signal }: Upload): Promise<Response> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = (): void => request.abort();
    let stall = setTimeout(abort, STALL_MS);
    const end = (): void => {
      clearTimeout(stall);
      signal?.removeEventListener('abort', abort);
    };
    const fail = (): void => {
      end();
      if (signal?.aborted) return reject(new DOMException('', 'AbortError'));
      network.setOffline(null);
      reject(offline());
    };
    request.open(method, ROOT_PATH + path);
    request.setRequestHeader('Accept', 'application/json');
    if (body instanceof Blob) request.setRequestHeader('Content-Type', 'application/octet-stream');
    if (csrf.token) request.setRequestHeader('X-CSRF-Token', csrf.token);
    request.upload.onprogress = ({ loaded, total }) => {
      clearTimeout(stall);
      stall = setTimeout(abort, STALL_MS);
      onProgress(total ? loaded / total : 0);
    };
    request.onerror = request.onabort = fail;
    request.onload = () => {
      end();
      readAfter.observe(request.getResponseHeader('X-Read-After'));
      const retryAfter = request.getResponseHeader('Retry-After');
      resolve(new Response(request.responseText, { status: request.status, headers: retryAfter ? { 'Retry-After': retryAfter } : {} }));
    };
    signal?.addEventListener('abort', abort);
    request.send(body);
  });
}

function offline(): ApiError {
  return new ApiError({ code: 'offline', status: 0 });
}

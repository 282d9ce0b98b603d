import { csrf, unauthorized } from './client';
import { ApiError, errorFromResponse } from './error';
import { network } from './network.svelte';
import { ROOT_PATH } from '../device/rootPath';

// The service hashes and inspects a file before it answers. A request that made no progress for longer is lost.
const STALL_MS = 60_000;

/**
 * Send a file as the body of a PUT request, and tell how much of it has been sent, from 0 to 1. `fetch` cannot tell that. Returns
 * the answer of the service; throws an `ApiError`.
 */
export async function putFile(path: string, file: Blob, onProgress: (share: number) => void): Promise<unknown> {
  const token = csrf.token;
  try {
    return await send(path, file, onProgress);
  } catch (thrown) {
    // The user may have signed in again in another tab, see `send` of the client.
    if (!(thrown instanceof ApiError) || thrown.status !== 403 || !token) throw thrown;
    await csrf.renew();
    if (!csrf.token || csrf.token === token) throw thrown;
    return send(path, file, onProgress);
  }
}

async function send(path: string, file: Blob, onProgress: (share: number) => void): Promise<unknown> {
  const response = await network.track(requestPut(path, file, onProgress));
  network.setOnline();
  if (response.status === 401) unauthorized.listener();
  if (!response.ok) throw await errorFromResponse(response);
  try {
    return (await response.json()) as unknown;
  } catch {
    throw offline();
  }
}

function requestPut(path: string, file: Blob, onProgress: (share: number) => void): Promise<Response> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let stall = setTimeout(() => request.abort(), STALL_MS);
    const fail = (): void => {
      clearTimeout(stall);
      network.setOffline(null);
      reject(offline());
    };
    request.open('PUT', ROOT_PATH + path);
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    if (csrf.token) request.setRequestHeader('X-CSRF-Token', csrf.token);
    request.upload.onprogress = ({ loaded, total }) => {
      clearTimeout(stall);
      stall = setTimeout(() => request.abort(), STALL_MS);
      onProgress(total ? loaded / total : 0);
    };
    request.onerror = request.onabort = fail;
    request.onload = () => {
      clearTimeout(stall);
      const retryAfter = request.getResponseHeader('Retry-After');
      resolve(new Response(request.responseText, { status: request.status, headers: retryAfter ? { 'Retry-After': retryAfter } : {} }));
    };
    request.send(file);
  });
}

function offline(): ApiError {
  return new ApiError({ code: 'offline', status: 0 });
}

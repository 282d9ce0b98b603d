import { api, csrf, data, type Schemas } from '../api/client';
import { ApiError, asApiError, type Problem } from '../api/error';
import { ROOT_PATH } from '../device/rootPath';
import { formatQuery, type QueryPair } from '../router/query';
import type { Mapping } from './mapping/mapping';

/** An import in a list. */
export type ImportRow = Omit<Import, 'mapping' | 'preview' | 'report' | 'undone' | 'problem' | 'read' | 'sample' | 'columns'>;
/** One import: its columns and mapping, its preview, and at the end its report. */
export type Import = Omit<Schemas['ImportDetail'], 'mapping'> & { mapping: Mapping | null };
export type Preview = NonNullable<Import['preview']>;
export type Report = NonNullable<Import['report']>;
export type Sample = NonNullable<Import['sample']>;
export type ProblemGroup = Schemas['ProblemGroup'];
export type Outcomes = Schemas['Outcomes'];
/** How a file is read. What is left out is recognised. */
export type ReadOptions = Record<string, string | number | null>;
export interface SavedMapping {
  mapping: Mapping;
  etag: string;
}

const PAGE = 50;

export async function readImports(cursor: string | null): Promise<{ items: ImportRow[]; next: string | null }> {
  const pairs: QueryPair[] = [['limit', String(PAGE)], ...(cursor ? [['cursor', cursor] as const] : [])];
  const query = formatQuery(pairs).slice(1);
  return (await data(api.GET('/imports', { querySerializer: () => query }))) as never;
}

export async function readImport(id: string): Promise<Import> {
  return (await data(api.GET('/imports/{id}', { params: { path: { id } } }))) as Import;
}

/** Preview an import with another mapping. */
export async function putMapping(id: string, mapping: Mapping): Promise<Import> {
  return (await data(api.PUT('/imports/{id}/mapping', { params: { path: { id } }, body: mapping } as never))) as Import;
}

/** Read the file in another way, and get a new proposal of a mapping. */
export async function proposeMapping(id: string, read: ReadOptions): Promise<Import> {
  return (await data(api.POST('/imports/{id}/proposal', { params: { path: { id } }, body: { read } } as never))) as Import;
}

export async function startImport(id: string, step: 'apply' | 'undo'): Promise<void> {
  await api.POST(`/imports/{id}/${step}`, { params: { path: { id } } } as never);
}

export async function readMappingNames(): Promise<string[]> {
  const page = await data(api.GET('/mappings', { querySerializer: () => 'fields=name&limit=500' }));
  return (page as { items: { name: string }[] }).items.map(({ name }) => name);
}

/** Read a saved mapping; null if there is none of this name. */
export async function readMapping(name: string): Promise<SavedMapping | null> {
  try {
    const { data: mapping, response } = await api.GET('/mappings/{name}', { params: { path: { name } } });
    return { mapping: mapping as unknown as Mapping, etag: response.headers.get('ETag') ?? '' };
  } catch (thrown) {
    if (asApiError(thrown).status === 404) return null;
    throw thrown;
  }
}

/** Save a mapping: over the one with this ETag, or as a new one. */
export async function saveMapping(mapping: Mapping, etag: string | null): Promise<void> {
  const header = etag === null ? { 'If-None-Match': '*' } : { 'If-Match': etag };
  await api.PUT('/mappings/{name}', { params: { path: { name: mapping.name }, header }, body: mapping } as never);
}

export function rejectedRowsAddress(id: string): string {
  return `${ROOT_PATH}/imports/${id}/rejected.csv`;
}

/** Upload a table. Only XMLHttpRequest tells the progress of an upload; `onprogress` gets the share that was sent. */
export async function uploadTable(file: File, onprogress: (share: number) => void, signal: AbortSignal): Promise<Import> {
  try {
    return await send(file, onprogress, signal);
  } catch (thrown) {
    // The user may have signed in again in another tab: this tab's token belongs to a session that has ended.
    const before = csrf.token;
    if (!(thrown instanceof ApiError) || thrown.status !== 403 || !before) throw thrown;
    await csrf.renew();
    if (!csrf.token || csrf.token === before) throw thrown;
    return send(file, onprogress, signal);
  }
}

function send(file: File, onprogress: (share: number) => void, signal: AbortSignal): Promise<Import> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append('file', file, file.name);
    request.open('POST', `${ROOT_PATH}/imports`);
    request.setRequestHeader('Accept', 'application/json');
    if (csrf.token) request.setRequestHeader('X-CSRF-Token', csrf.token);
    request.upload.onprogress = ({ loaded, total }) => onprogress(total ? loaded / total : 0);
    request.onload = () => (request.status === 201 ? resolve(JSON.parse(request.responseText) as Import) : reject(new ApiError(problemOf(request))));
    request.onerror = () => reject(new ApiError({ code: 'offline', status: 0 }));
    request.onabort = () => reject(new DOMException('', 'AbortError'));
    signal.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

function problemOf({ status, responseText }: XMLHttpRequest): Problem {
  try {
    return JSON.parse(responseText) as Problem;
  } catch {
    // A proxy's error page: it may have a smaller limit for uploads than the service.
    return { code: status === 413 ? 'payload-too-large' : 'internal', status };
  }
}

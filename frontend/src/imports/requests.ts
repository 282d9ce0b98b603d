import { api, data, type Schemas } from '../api/client';
import { asApiError, errorFromResponse } from '../api/error';
import { readEvents } from '../api/eventStream';
import { upload } from '../api/upload';
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
/** How a file is read. The service recognises the settings that are missing here. */
export type ReadOptions = Record<string, string | number | null>;
export interface SavedMapping {
  mapping: Mapping;
  etag: string;
}

/** Whether an import is of a file of the legacy tool: it has no columns and takes no mapping. */
export function isLegacyFile({ read }: Import): boolean {
  return String(read?.format).startsWith('legacy-');
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

/** Follow the progress of an import, until the service does not work on it any more. Throws if the connection fails or breaks. */
export async function* followImport(id: string, signal: AbortSignal): AsyncGenerator<Schemas['ImportProgress']> {
  const response = await fetch(`${ROOT_PATH}/imports/${id}/events`, { cache: 'no-store', signal });
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
  if (!response.ok || !isStream || !response.body) throw await errorFromResponse(response);
  for await (const event of readEvents(response.body, () => undefined)) {
    if (event.name === 'progress') yield JSON.parse(event.data) as Schemas['ImportProgress'];
  }
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

/** Upload a table; `onProgress` gets the share that has been sent, from 0 to 1. */
export async function uploadTable(file: File, onProgress: (share: number) => void, signal: AbortSignal): Promise<Import> {
  const body = new FormData();
  body.append('file', file, file.name);
  return (await upload({ method: 'POST', path: '/imports', body, onProgress, signal })) as Import;
}

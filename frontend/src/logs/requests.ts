import { api, data, type Log, type Schemas } from '../api/client';
import { formatQuery, omit, setParam, type QueryPair } from '../router/query';
import type { Facet } from './listQuery';

/** A log in a list. `expanded` is present if a visible column needs it. */
export type Row = Log & { expanded?: { machine?: Schemas['MachineRead'] } };

export interface Page {
  items: Row[];
  next: string | null;
  previous: string | null;
  total: number | null;
  total_capped: boolean;
}

export const PAGE_SIZE = 60;

/** Read a page of logs. The pairs may contain any filter of the API. */
export async function readPage(pairs: readonly QueryPair[], signal?: AbortSignal): Promise<Page> {
  const query = formatQuery(setParam(pairs, 'limit', String(PAGE_SIZE))).slice(1);
  return (await data(api.GET('/logs', { querySerializer: () => query, ...(signal && { signal }) }))) as Page;
}

/** Read only the UUIDs of the first page, to detect new logs cheaply. */
export async function readNewestUuids(pairs: readonly QueryPair[]): Promise<string[]> {
  const query = formatQuery(setParam(setParam(omit(pairs, 'expand'), 'limit', String(PAGE_SIZE)), 'fields', 'uuid')).slice(1);
  const page = await data(api.GET('/logs', { querySerializer: () => query }));
  return page.items.map((item) => item.uuid as string);
}

export interface FacetCounts {
  values: Schemas['FacetValue'][];
  capped: boolean;
}

/** Count the logs for each value of a facet, under the other filters. */
export async function readFacet(pairs: readonly QueryPair[], facet: Facet): Promise<FacetCounts> {
  const query = formatQuery([...omit(pairs, 'sort', 'deleted'), ['by', facet], ['limit', '500']]).slice(1);
  const { facets, capped } = await data(api.GET('/logs/facets', { params: { query: { by: facet } }, querySerializer: () => query }));
  return { values: facets[facet] ?? [], capped: capped.includes(facet) };
}

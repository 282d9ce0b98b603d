import { api, data, type Log, type Schemas } from '../api/client';
import { print, set, without, type Pair } from '../router/query';
import type { Facet } from './view';

/** A log of a list; `expanded` where a column asks for it. */
export type Row = Log & { expanded?: { machine?: Schemas['MachineRead'] } };

export interface Page {
  items: Row[];
  next: string | null;
  previous: string | null;
  total: number | null;
  total_capped: boolean;
}

export const PAGE_SIZE = 60;

/** A page of the logs that these pairs ask for; any filter of the API may be among them. */
export async function readPage(pairs: readonly Pair[], signal?: AbortSignal): Promise<Page> {
  const query = print(set(pairs, 'limit', String(PAGE_SIZE))).slice(1);
  return (await data(api.GET('/logs', { querySerializer: () => query, ...(signal && { signal }) }))) as Page;
}

/** The identities of the newest of them: to see what is new without fetching it. */
export async function readHead(pairs: readonly Pair[]): Promise<string[]> {
  const query = print(set(set(without(pairs, 'expand'), 'limit', String(PAGE_SIZE)), 'fields', 'uuid')).slice(1);
  const page = await data(api.GET('/logs', { querySerializer: () => query }));
  return page.items.map((item) => item.uuid as string);
}

export interface Counts {
  values: Schemas['FacetValue'][];
  capped: boolean;
}

/** How many logs each value of a facet has, under the other filters. */
export async function readFacet(pairs: readonly Pair[], facet: Facet): Promise<Counts> {
  const query = print([...without(pairs, 'sort', 'deleted'), ['by', facet], ['limit', '500']]).slice(1);
  const { facets, capped } = await data(api.GET('/logs/facets', { params: { query: { by: facet } }, querySerializer: () => query }));
  return { values: facets[facet] ?? [], capped: capped.includes(facet) };
}

import { api, data, type Schemas } from '../api/client';
import { formatQuery, type QueryPair } from '../router/query';
import type { Figures } from './figures';

/** A window of time as the API takes it: a day as `to` is included. */
export interface Window {
  from: string;
  /** A day, or a local time of the site with its seconds. */
  to: string;
}

export type Pareto = Schemas['Pareto'];

export interface Reliability {
  /** What each figure means, in the words of the service. */
  definition: Record<string, string>;
  /** One group for each machine, or one for all of them. */
  groups: (Figures & { machine?: string })[];
}

export function windowPairs({ from, to }: Window): QueryPair[] {
  return [['from', from], ['to', to]];
}

/** Measure the machines that the filters choose: each of them by `group_by=machine`, or all together. */
export async function readReliability(pairs: readonly QueryPair[]): Promise<Reliability> {
  const query = formatQuery(pairs).slice(1);
  return (await data(api.GET('/reliability', { querySerializer: () => query }))) as unknown as Reliability;
}

/** Rank the causes of the logs that the filters choose. */
export async function readCauses(weight: 'count' | 'failures' | 'downtime', limit: number, pairs: readonly QueryPair[]): Promise<Pareto> {
  const query = formatQuery([['by', 'cause'], ['weight', weight], ['limit', String(limit)], ...pairs]).slice(1);
  return data(api.GET('/logs/pareto', { querySerializer: () => query } as never));
}

import { api, data } from '../api/client';
import { formatQuery, type QueryPair } from '../router/query';

const MAX_LOGS = '100';
const MAX_MACHINES = '500';

/** The names of the attributes of the latest logs of a machine, or else of a type. */
export function readLogAttributeNames(machine: string, type: string): Promise<string[]> {
  const filter: QueryPair[] = machine ? [['machine', machine]] : type ? [['type', type]] : [];
  return readNames('/logs', [...filter, ['limit', MAX_LOGS]]);
}

/** The names of the attributes of all machines; if there are very many machines, of the first ones. */
export function readMachineAttributeNames(): Promise<string[]> {
  return readNames('/machines', [['limit', MAX_MACHINES]]);
}

async function readNames(path: '/logs' | '/machines', pairs: QueryPair[]): Promise<string[]> {
  const query = formatQuery([...pairs, ['fields', 'attributes']]).slice(1);
  const { items } = (await data(api.GET(path, { querySerializer: () => query }))) as { items: { attributes?: object | null }[] };
  return [...new Set(items.flatMap(({ attributes }) => Object.keys(attributes ?? {})))].sort();
}

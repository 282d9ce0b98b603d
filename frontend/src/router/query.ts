/**
 * The query string of an address as a list of name-value pairs. Unlike an object, a list keeps the order, repeated names and
 * the exact text of each value: `q=0012` stays `0012`.
 */
export type QueryPair = readonly [name: string, value: string];

export function parseQuery(search: string): QueryPair[] {
  return [...new URLSearchParams(search)];
}

/** Format pairs as a query string with its `?`; empty without pairs. Colons and commas are not escaped, for readability. */
export function formatQuery(pairs: readonly QueryPair[]): string {
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, value])).toString();
  return text && `?${text.replaceAll('%3A', ':').replaceAll('%2C', ',')}`;
}

export function getFirst(pairs: readonly QueryPair[], name: string): string | undefined {
  return pairs.find(([key]) => key === name)?.[1];
}

export function getAll(pairs: readonly QueryPair[], name: string): string[] {
  return pairs.filter(([key]) => key === name).map(([, value]) => value);
}

/** Replace the values of a name, at the position of its first pair. Without values, the name is removed. */
export function setParam(pairs: readonly QueryPair[], name: string, ...values: string[]): QueryPair[] {
  const at = pairs.findIndex(([key]) => key === name);
  const rest = pairs.filter(([key]) => key !== name);
  rest.splice(at < 0 ? rest.length : at, 0, ...values.map((value) => [name, value] as const));
  return rest;
}

/** The pairs except those with one of these names. */
export function omit(pairs: readonly QueryPair[], ...names: string[]): QueryPair[] {
  return pairs.filter(([name]) => !names.includes(name));
}

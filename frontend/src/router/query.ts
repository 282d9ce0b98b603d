/**
 * The query of an address, as text and as pairs. Pairs keep their order, repetitions and spelling: `q=0012` stays `0012`.
 */
export type Pair = readonly [name: string, value: string];

export function parse(search: string): Pair[] {
  return [...new URLSearchParams(search)];
}

/** The query of these pairs with its `?`, or nothing; spelt so that people can read it. */
export function print(pairs: readonly Pair[]): string {
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, value])).toString();
  return text && `?${text.replaceAll('%3A', ':').replaceAll('%2C', ',')}`;
}

export function first(pairs: readonly Pair[], name: string): string | undefined {
  return pairs.find(([known]) => known === name)?.[1];
}

export function all(pairs: readonly Pair[], name: string): string[] {
  return pairs.filter(([known]) => known === name).map(([, value]) => value);
}

/** The pairs with these values for a name, in the place of the former ones; without values the name goes. */
export function set(pairs: readonly Pair[], name: string, ...values: string[]): Pair[] {
  const at = pairs.findIndex(([known]) => known === name);
  const rest = pairs.filter(([known]) => known !== name);
  rest.splice(at < 0 ? rest.length : at, 0, ...values.map((value) => [name, value] as const));
  return rest;
}

export function without(pairs: readonly Pair[], ...names: string[]): Pair[] {
  return pairs.filter(([name]) => !names.includes(name));
}

/** The places of the console. A name in braces is what varies; `path` writes it, `match` reads it. */
export const PLACES = {
  home: '/',
  logs: '/logs',
  log: '/logs/{uuid}',
  newLog: '/new',
  scanned: '/m/{id}',
  waiting: '/waiting',
  machines: '/machines',
  machine: '/machines/{name}',
  labels: '/labels',
  wall: '/wall',
  signIn: '/sign-in',
  setUp: '/setup',
  account: '/account',
  password: '/account/password',
  myTokens: '/account/tokens',
  addMyToken: '/account/new-token',
  admin: '/admin',
  people: '/admin/people',
  person: '/admin/people/{trigram}',
  addPerson: '/admin/new-person',
  tokens: '/admin/tokens',
  addToken: '/admin/new-token',
  types: '/admin/types',
  type: '/admin/types/{code}',
  addType: '/admin/new-type',
} as const;

export type Place = keyof typeof PLACES;
type Names<P extends string> = P extends `${string}{${infer N}}${infer Rest}` ? N | Names<Rest> : never;
export type Parameters<P extends Place> = Record<Names<(typeof PLACES)[P]>, string>;

export const BASE = '/ui';

const patterns = Object.entries(PLACES).map(([place, path]) => ({
  place: place as Place,
  pattern: new RegExp(`^${path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}/?$`),
}));

/** The address of a place, without a query. */
export function path<P extends Place>(place: P, ...given: Names<(typeof PLACES)[P]> extends never ? [] : [Parameters<P>]): string {
  const values: Record<string, string> = given[0] ?? {};
  return BASE + PLACES[place].replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''));
}

/** The address of a new log of this machine. */
export function newLogOf(machine: string): string {
  return `${path('newLog')}?machine=${encodeURIComponent(machine)}`;
}

/** Where an address leads, or null if nowhere. */
export function match(pathname: string): { place: Place; parameters: Record<string, string> } | null {
  const local = pathname.startsWith(BASE) ? pathname.slice(BASE.length) || '/' : pathname;
  for (const { place, pattern } of patterns) {
    const groups = pattern.exec(local)?.groups;
    if (groups || pattern.test(local)) {
      return { place, parameters: Object.fromEntries(Object.entries(groups ?? {}).map(([k, v]) => [k, decode(v)])) };
    }
  }
  return null;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

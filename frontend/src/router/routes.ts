/** The routes of the console. Braces mark a parameter: `path` fills it in, `matchRoute` reads it. */
export const ROUTES = {
  home: '/',
  logs: '/logs',
  log: '/logs/{uuid}',
  newLog: '/new',
  machineById: '/m/{id}',
  outbox: '/waiting',
  machines: '/machines',
  machine: '/machines/{name}',
  labels: '/labels',
  wall: '/wall',
  signIn: '/sign-in',
  setUp: '/setup',
  account: '/account',
  password: '/account/password',
  myTokens: '/account/tokens',
  newMyToken: '/account/new-token',
  admin: '/admin',
  users: '/admin/people',
  user: '/admin/people/{trigram}',
  newUser: '/admin/new-person',
  tokens: '/admin/tokens',
  newToken: '/admin/new-token',
  logTypes: '/admin/types',
  logType: '/admin/types/{code}',
  newLogType: '/admin/new-type',
} as const;

export type RouteName = keyof typeof ROUTES;
type ParameterNames<P extends string> = P extends `${string}{${infer N}}${infer Rest}` ? N | ParameterNames<Rest> : never;
export type RouteParameters<R extends RouteName> = Record<ParameterNames<(typeof ROUTES)[R]>, string>;

export const BASE = '/ui';

const patterns = Object.entries(ROUTES).map(([route, template]) => ({
  route: route as RouteName,
  pattern: new RegExp(`^${template.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}/?$`),
}));

/** The path of a route, without a query string. */
export function path<R extends RouteName>(route: R, ...given: ParameterNames<(typeof ROUTES)[R]> extends never ? [] : [RouteParameters<R>]): string {
  const values: Record<string, string> = given[0] ?? {};
  return BASE + ROUTES[route].replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''));
}

/** The address of the new-log form with this machine filled in. */
export function newLogPath(machine: string): string {
  return `${path('newLog')}?machine=${encodeURIComponent(machine)}`;
}

/** The route of a path with its parameters, or null if no route matches. */
export function matchRoute(pathname: string): { route: RouteName; parameters: Record<string, string> } | null {
  const local = pathname.startsWith(BASE) ? pathname.slice(BASE.length) || '/' : pathname;
  for (const { route, pattern } of patterns) {
    const groups = pattern.exec(local)?.groups;
    if (groups || pattern.test(local)) {
      return { route, parameters: Object.fromEntries(Object.entries(groups ?? {}).map(([k, v]) => [k, decode(v)])) };
    }
  }
  return null;
}

/** Decode a path segment; an invalid escape sequence stays as it is. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

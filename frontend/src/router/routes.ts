import { ROOT_PATH } from '../device/rootPath';

/** The routes of the console. Braces mark a parameter: `path` fills it in, `matchRoute` reads it. */
export const ROUTES = {
  home: '/',
  logs: '/logs',
  log: '/logs/{uuid}',
  newLog: '/new',
  // QR labels link to this route. Labels on machines outlive builds, so it must not change.
  machineById: '/m/{id}',
  outbox: '/waiting',
  machines: '/machines',
  machine: '/machines/{name}',
  labels: '/labels',
  wall: '/wall',
  week: '/week',
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
  siteState: '/admin/site',
  imports: '/imports',
  import: '/imports/{id}',
} as const;

export type RouteName = keyof typeof ROUTES;
/** The names in the braces of a path: `'uuid'` for `/logs/{uuid}`, `never` for `/logs`. */
type ParameterNames<P extends string> = P extends `${string}{${infer N}}${infer Rest}` ? N | ParameterNames<Rest> : never;
export type RouteParameters<R extends RouteName> = Record<ParameterNames<(typeof ROUTES)[R]>, string>;

/** The path at which the service serves the console. All routes are below it. */
export const BASE = `${ROOT_PATH}/ui`;

const patterns = Object.entries(ROUTES).map(([route, template]) => ({
  route: route as RouteName,
  pattern: new RegExp(`^${template.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}/?$`),
}));

/** The path of a route, without a query string. */
export function path<R extends RouteName>(route: R, ...given: ParameterNames<(typeof ROUTES)[R]> extends never ? [] : [RouteParameters<R>]): string {
  const values: Record<string, string> = given[0] ?? {};
  return BASE + ROUTES[route].replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''));
}

/** The address of the new-log form with this machine, and other fields, filled in. */
export function newLogPath(machine: string, preset: Record<string, string> = {}): string {
  const pairs = Object.entries({ machine, ...preset });
  return `${path('newLog')}?${pairs.map(([field, value]) => `${field}=${encodeURIComponent(value)}`).join('&')}`;
}

/** The address of the log form that corrects a refused log. Users may have it open during an update, so the name `mend` stays. */
export function fixLogPath(uuid: string): string {
  return `${path('newLog')}?mend=${uuid}`;
}

/** The route of a path with its parameters, or null if no route matches. */
export function matchRoute(pathname: string): { route: RouteName; parameters: Record<string, string> } | null {
  const routePath = pathname.startsWith(BASE) ? pathname.slice(BASE.length) || '/' : pathname;
  for (const { route, pattern } of patterns) {
    const match = pattern.exec(routePath);
    if (!match) continue;
    return { route, parameters: Object.fromEntries(Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeSegment(value)])) };
  }
  return null;
}

/** Decode a path segment. If it contains an invalid escape sequence, return it unchanged. */
function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

import type { Component } from 'svelte';
import type { Role } from '../api/client';
import { path, type RouteName } from '../router/routes';
import type { Messages } from '../i18n/en';
import { i18n } from '../i18n/i18n.svelte';

interface Page {
  /** The name in the document title. */
  name: (t: Messages) => string;
  /** Load the page's chunk, when the user opens the page. */
  load: () => Promise<{ default: Component }>;
  /** The page needs no sign-in. */
  isPublic?: true;
  /** The page is shown without the navigation. */
  withoutShell?: true;
  /** The lowest role that may open the page. */
  role?: Role;
}

/** A page that is not in the first load. Its messages load with it. */
const part = (load: Page['load']): Page['load'] => () => i18n.loadPart(load());

const logs = () => import('../logs/LogsPage.svelte');
const myTokens: Page = { name: (t) => t.pages.myTokens, load: part(() => import('../account/MyTokensPage.svelte')) };
const admin = part(() => import('../admin/AdminPage.svelte'));
const users: Page = { name: (t) => t.pages.users, load: admin, role: 'admin' };
const tokens: Page = { name: (t) => t.pages.tokens, load: admin, role: 'admin' };
const logTypes: Page = { name: (t) => t.pages.logTypes, load: admin, role: 'supervisor' };
const imports: Page = { name: (t) => t.pages.imports, load: part(() => import('../imports/ImportsPage.svelte')), role: 'supervisor' };

/** The page of each route. To add a page: a line in `ROUTES`, one here, and one in `NAVIGATION` if the menu shows it. */
export const PAGES: Record<RouteName, Page> = {
  home: { name: (t) => t.logs.title, load: logs },
  logs: { name: (t) => t.logs.title, load: logs },
  log: { name: (t) => t.logs.title, load: logs },
  newLog: { name: (t) => t.pages.newLog, load: part(() => import('../logForm/NewLogPage.svelte')) },
  machineById: { name: (t) => t.pages.machines, load: part(() => import('../machines/scanned/ScannedMachinePage.svelte')) },
  outbox: { name: (t) => t.pages.outbox, load: part(() => import('../waiting/OutboxPage.svelte')) },
  machines: { name: (t) => t.pages.machines, load: part(() => import('../machines/MachinesPage.svelte')) },
  machine: { name: (t) => t.pages.machines, load: part(() => import('../machines/detail/MachinePage.svelte')) },
  labels: { name: (t) => t.pages.labels, load: part(() => import('../machines/LabelsPage.svelte')) },
  week: { name: (t) => t.pages.week, load: part(() => import('../week/WeekPage.svelte')) },
  wall: { name: (t) => t.pages.wall, load: part(() => import('../wall/WallPage.svelte')), withoutShell: true },
  signIn: { name: (t) => t.shell.signIn, load: () => import('../account/SignInPage.svelte'), isPublic: true, withoutShell: true },
  setUp: { name: (t) => t.pages.setUp, load: part(() => import('../account/SetUpPage.svelte')), isPublic: true, withoutShell: true },
  account: { name: (t) => t.shell.account, load: part(() => import('../account/AccountPage.svelte')) },
  password: { name: (t) => t.pages.password, load: part(() => import('../account/PasswordPage.svelte')) },
  myTokens,
  newMyToken: myTokens,
  admin: { name: (t) => t.shell.admin, load: admin, role: 'supervisor' },
  users,
  user: users,
  newUser: users,
  tokens,
  newToken: tokens,
  logTypes,
  logType: logTypes,
  newLogType: logTypes,
  siteState: { name: (t) => t.pages.siteState, load: admin, role: 'admin' },
  imports,
  import: imports,
};

export interface NavigationItem {
  address: string;
  name: (t: Messages) => string;
  /** An SVG path in a 20 by 20 view box. */
  icon: string;
  /** The item is marked as current on these routes. */
  routes: RouteName[];
  role?: Role;
  /** The bar at the bottom of a phone has no room for the item: another page links to it. */
  isWideOnly?: true;
}

export const NAVIGATION: NavigationItem[] = [
  { address: path('logs'), name: (t) => t.shell.logs, icon: 'M3 5h14M3 10h14M3 15h9', routes: ['home', 'logs', 'log'] },
  { address: path('machines'), name: (t) => t.pages.machines, icon: 'M4 17V8l4 3V8l4 3V4h4v13zM7.5 14h5', routes: ['machines', 'machine', 'machineById', 'labels'] },
  { address: path('week'), name: (t) => t.pages.week, icon: 'M3 17h14M5.5 14V9M10 14V4M14.5 14v-3', routes: ['week'] },
  { address: path('wall'), name: (t) => t.pages.wall, icon: 'M3 4h14v9H3zM10 13v3M6.5 16.5h7', routes: ['wall'], isWideOnly: true },
  {
    address: path('imports'),
    name: (t) => t.pages.imports,
    icon: 'M10 3v9M6.5 8.5L10 12l3.5-3.5M3 13v4h14v-4',
    routes: ['imports', 'import'],
    role: 'supervisor',
    isWideOnly: true,
  },
  {
    address: path('admin'),
    name: (t) => t.shell.admin,
    icon: 'M3 6h5M12 6h5M3 14h2M9 14h8M10 4a2 2 0 110 4 2 2 0 010-4zM7 12a2 2 0 110 4 2 2 0 010-4z',
    routes: ['admin', 'users', 'user', 'newUser', 'tokens', 'newToken', 'logTypes', 'logType', 'newLogType', 'siteState'],
    role: 'supervisor',
  },
];
export const ACCOUNT: NavigationItem = {
  address: path('account'),
  name: (t) => t.shell.account,
  icon: 'M10 10a3.2 3.2 0 100-6.4 3.2 3.2 0 000 6.4zM3.6 17c.7-3.2 3.2-5 6.4-5s5.7 1.8 6.4 5',
  routes: ['account', 'password', 'myTokens', 'newMyToken'],
};

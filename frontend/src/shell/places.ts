import type { Component } from 'svelte';
import type { Role } from '../api/client';
import { path, type Place } from '../router/routes';
import type { Words } from '../words/en';

interface Page {
  /** What it is called in the navigation and in the title. */
  name: (t: Words) => string;
  /** Its chunk, fetched when it is opened. */
  load: () => Promise<{ default: Component }>;
  /** Open to who is not signed in. */
  open?: true;
  /** Without the navigation around it. */
  bare?: true;
  /** For this role and those above it. */
  role?: Role;
}

const logs = () => import('../logs/LogsPage.svelte');
const myTokens: Page = { name: (t) => t.tokens.mine, load: () => import('../account/MyTokensPage.svelte') };
const admin = () => import('../admin/AdminPage.svelte');
const people: Page = { name: (t) => t.people.title, load: admin, role: 'admin' };
const tokens: Page = { name: (t) => t.tokens.title, load: admin, role: 'admin' };
const types: Page = { name: (t) => t.types.title, load: admin, role: 'supervisor' };

/** What stands at each place. To add one: a line in `PLACES`, one here, and in `NAVIGATION` if it belongs there. */
export const PAGES: Record<Place, Page> = {
  home: { name: (t) => t.logs.title, load: logs },
  logs: { name: (t) => t.logs.title, load: logs },
  log: { name: (t) => t.logs.title, load: logs },
  newLog: { name: (t) => t.logger.title, load: () => import('../logger/NewLogPage.svelte') },
  scanned: { name: (t) => t.machines.title, load: () => import('../machines/ById.svelte') },
  waiting: { name: (t) => t.offline.title, load: () => import('../offline/WaitingPage.svelte') },
  machines: { name: (t) => t.machines.title, load: () => import('../machines/MachinesPage.svelte') },
  machine: { name: (t) => t.machines.title, load: () => import('../machines/one/MachinePage.svelte') },
  labels: { name: (t) => t.machines.labels, load: () => import('../machines/LabelsPage.svelte') },
  wall: { name: (t) => t.wall.title, load: () => import('../wall/WallPage.svelte'), bare: true },
  signIn: { name: (t) => t.account.signIn, load: () => import('../account/SignInPage.svelte'), open: true, bare: true },
  setUp: { name: (t) => t.account.setUp, load: () => import('../account/SetUpPage.svelte'), open: true, bare: true },
  account: { name: (t) => t.shell.account, load: () => import('../account/AccountPage.svelte') },
  password: { name: (t) => t.account.changePassword, load: () => import('../account/PasswordPage.svelte') },
  myTokens,
  addMyToken: myTokens,
  admin: { name: (t) => t.shell.admin, load: admin, role: 'supervisor' },
  people,
  person: people,
  addPerson: people,
  tokens,
  addToken: tokens,
  types,
  type: types,
  addType: types,
};

export interface Entry {
  address: string;
  name: (t: Words) => string;
  /** A path of a 20 by 20 picture. */
  icon: string;
  places: Place[];
  role?: Role;
}

export const NAVIGATION: Entry[] = [
  { address: path('logs'), name: (t) => t.shell.logs, icon: 'M3 5h14M3 10h14M3 15h9', places: ['home', 'logs', 'log'] },
  { address: path('machines'), name: (t) => t.machines.title, icon: 'M4 17V8l4 3V8l4 3V4h4v13zM7.5 14h5', places: ['machines', 'machine', 'scanned', 'labels'] },
  { address: path('wall'), name: (t) => t.wall.title, icon: 'M3 4h14v9H3zM10 13v3M6.5 16.5h7', places: ['wall'] },
  {
    address: path('admin'),
    name: (t) => t.shell.admin,
    icon: 'M3 6h5M12 6h5M3 14h2M9 14h8M10 4a2 2 0 110 4 2 2 0 010-4zM7 12a2 2 0 110 4 2 2 0 010-4z',
    places: ['admin', 'people', 'person', 'addPerson', 'tokens', 'addToken', 'types', 'type', 'addType'],
    role: 'supervisor',
  },
];
export const ACCOUNT: Entry = {
  address: path('account'),
  name: (t) => t.shell.account,
  icon: 'M10 10a3.2 3.2 0 100-6.4 3.2 3.2 0 000 6.4zM3.6 17c.7-3.2 3.2-5 6.4-5s5.7 1.8 6.4 5',
  places: ['account', 'password', 'myTokens', 'addMyToken'],
};

import type { Component } from 'svelte';
import { path, type Place } from '../router/routes';
import type { Words } from '../words/language.svelte';

interface Page {
  /** What it is called in the navigation and in the title. */
  name: (t: Words) => string;
  /** Its chunk, fetched when it is opened. */
  load: () => Promise<{ default: Component }>;
  /** Open to who is not signed in. */
  open?: true;
  /** Without the navigation around it. */
  bare?: true;
}

const logs = () => import('../logs/LogsPage.svelte');

/** What stands at each place. To add one: a line in `PLACES`, one here, and in `NAVIGATION` if it belongs there. */
export const PAGES: Record<Place, Page> = {
  home: { name: (t) => t.logs.title, load: logs },
  logs: { name: (t) => t.logs.title, load: logs },
  log: { name: (t) => t.logs.title, load: logs },
  signIn: { name: (t) => t.account.signIn, load: () => import('../account/SignInPage.svelte'), open: true, bare: true },
  setUp: { name: (t) => t.account.setUp, load: () => import('../account/SetUpPage.svelte'), open: true, bare: true },
  account: { name: (t) => t.shell.account, load: () => import('../account/AccountPage.svelte') },
};

export interface Entry {
  address: string;
  name: (t: Words) => string;
  /** A path of a 20 by 20 picture. */
  icon: string;
  places: Place[];
}

export const NAVIGATION: Entry[] = [
  { address: path('logs'), name: (t) => t.shell.logs, icon: 'M3 5h14M3 10h14M3 15h9', places: ['home', 'logs', 'log'] },
];
export const ACCOUNT: Entry = {
  address: path('account'),
  name: (t) => t.shell.account,
  icon: 'M10 10a3.2 3.2 0 100-6.4 3.2 3.2 0 000 6.4zM3.6 17c.7-3.2 3.2-5 6.4-5s5.7 1.8 6.4 5',
  places: ['account'],
};

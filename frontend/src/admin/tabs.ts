import type { Role, User } from '../api/client';
import type { RouteName } from '../router/routes';
import type { Messages } from '../i18n/en';

export interface Tab {
  home: 'users' | 'tokens' | 'logTypes' | 'imports' | 'siteState';
  routes: readonly RouteName[];
  name: (t: Messages) => string;
  role: Role;
  /** The tab needs a signed-in user, even on a site that is open to all. */
  needsAccount?: true;
}

const TABS: readonly Tab[] = [
  { home: 'users', routes: ['users', 'user', 'newUser'], name: (t) => t.pages.users, role: 'admin' },
  { home: 'tokens', routes: ['tokens', 'newToken'], name: (t) => t.pages.tokens, role: 'admin', needsAccount: true },
  { home: 'logTypes', routes: ['logTypes', 'logType', 'newLogType'], name: (t) => t.logTypes.short, role: 'supervisor' },
  { home: 'imports', routes: ['imports', 'import'], name: (t) => t.pages.imports, role: 'supervisor' },
  { home: 'siteState', routes: ['siteState'], name: (t) => t.pages.siteState, role: 'admin' },
];

/** The tabs of the administration that the current user may open. */
export function allowedTabs(session: { user: User | null; hasRole(role: Role): boolean }): Tab[] {
  return TABS.filter(({ role, needsAccount }) => session.hasRole(role) && (session.user !== null || !needsAccount));
}

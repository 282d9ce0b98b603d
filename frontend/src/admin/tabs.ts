import type { Role, User } from '../api/client';
import type { Place } from '../router/routes';
import type { Words } from '../words/en';

export interface Tab {
  home: 'people' | 'tokens' | 'types';
  places: readonly Place[];
  name: (t: Words) => string;
  role: Role;
  /** Only with an account of one's own. */
  personal?: true;
}

const TABS: readonly Tab[] = [
  { home: 'people', places: ['people', 'person', 'addPerson'], name: (t) => t.people.title, role: 'admin' },
  { home: 'tokens', places: ['tokens', 'addToken'], name: (t) => t.tokens.title, role: 'admin', personal: true },
  { home: 'types', places: ['types', 'type', 'addType'], name: (t) => t.types.short, role: 'supervisor' },
];

/** What of the administration is open to whoever sits here. */
export function tabs(who: { user: User | null; may(role: Role): boolean }): Tab[] {
  return TABS.filter(({ role, personal }) => who.may(role) && (who.user !== null || !personal));
}

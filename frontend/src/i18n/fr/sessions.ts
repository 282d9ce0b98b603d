import type { Messages } from '../en';

export const sessions: Messages['sessions'] = {
  title: 'Vos connexions',
  hint: 'Si vous ne reconnaissez pas un de ces navigateurs, fermez sa session et changez de mot de passe.',
  browserOn: (browser, device) => `${browser} (${device})`,
  unknown: 'Navigateur inconnu',
  current: 'celui-ci',
  lastUsed: (span) => `utilisé il y a ${span}`,
  since: (time) => `connecté le ${time}`,
  end: 'Fermer la session',
  endNamed: (name) => `Fermer la session de ${name}`,
  ended: 'Session fermée.',
};

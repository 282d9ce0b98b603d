import type { Words } from '../en';

export const offline: Words['offline'] = {
  title: 'Pas encore envoyé',
  intro: 'Ces interventions sont sur cet appareil. Elles partiront dans l’ordre dès que le service répondra ; celle qui n’a pas été acceptée vous attend.',
  none: 'Tout est envoyé.',
  noneHint: 'Ce que vous écrivez sans réseau attend ici.',
  away: 'Pas de réseau',
  wait: (count) => `${count} en attente`,
  waitForNetwork: (count) => `${count} en attente du réseau`,
  refused: (count) => `${count} à corriger`,
  notTaken: 'Non acceptée',
  ofOther: (who) => `attend la connexion de ${who}`,
  now: 'Envoyer maintenant',
  mend: 'Corriger',
  discard: 'Jeter',
  discardTitle: 'Jeter cette intervention ?',
  discardHint: 'Elle n’est que sur cet appareil. Personne ne pourra la retrouver.',
  fresh: 'Nouvelle version : charger',
};

import type { Messages } from '../en';

export const outbox: Messages['outbox'] = {
  title: 'Pas encore envoyé',
  intro: 'Ces interventions sont enregistrées sur cet appareil. Elles partiront dans l’ordre dès que le service répondra. Celles qui sont refusées attendent que vous les corrigiez.',
  empty: 'Tout est envoyé.',
  emptyHint: 'Les interventions saisies sans réseau attendent ici.',
  noNetwork: 'Pas de réseau',
  pending: (count) => `${count} en attente`,
  pendingNetwork: (count) => `${count} en attente du réseau`,
  refusedCount: (count) => `${count} à corriger`,
  refused: 'Refusée',
  waitingForAuthor: (author) => `attend que ${author} se connecte`,
  sendNow: 'Envoyer maintenant',
  fix: 'Corriger',
  delete: 'Supprimer',
  deleteTitle: 'Supprimer cette intervention\u00a0?',
  deleteHint: 'Elle n’est que sur cet appareil. Elle ne pourra pas être récupérée.',
  updateAvailable: 'Nouvelle version\u00a0: recharger',
};

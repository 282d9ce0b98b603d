import type { Messages } from '../en';

export const wall: Messages['wall'] = {
  heading: 'L’atelier en ce moment',
  leave: 'Quitter le tableau',
  paretoHint: 'Les pourcentages se cumulent de haut en bas.',
  live: (clock) => `En direct, mis à jour à ${clock}`,
  updated: (clock) => `Mis à jour à ${clock}`,
  outdated: (clock) => `Pas de mise à jour depuis ${clock}`,
  stopped: (one) => (one ? 'machine à l’arrêt' : 'machines à l’arrêt'),
  noneStopped: 'Aucune machine à l’arrêt',
  since: (span) => `depuis ${span}`,
  more: (count) => `et ${count} de plus`,
  open: (one) => (one ? 'ouverte' : 'ouvertes'),
  noneOpen: 'Aucune intervention ouverte.',
  weeks: 'Cette semaine et la semaine dernière',
  measure: { count: 'Interventions', failures: 'Pannes', downtime: 'Heures d’arrêt' },
  lastWeek: (day, value) => `fin ${day} dernier\u00a0: ${value}`,
  latest: 'Dernières interventions',
  pareto: (day) => `Arrêts depuis le ${day}, par machine`,
  noStops: 'Aucun arrêt en 30 jours.',
};

import type { Words } from '../en';

export const wall: Words['wall'] = {
  title: 'Tableau',
  heading: 'L’atelier en ce moment',
  live: (clock) => `En direct, reçu à ${clock}`,
  heard: (clock) => `Reçu à ${clock}`,
  lost: (clock) => `Plus de nouvelles depuis ${clock}`,
  stopped: (one) => (one ? 'machine à l’arrêt' : 'machines à l’arrêt'),
  noneStopped: 'Aucune machine à l’arrêt',
  since: (span) => `depuis ${span}`,
  more: (count) => `et ${count} de plus`,
  open: (one) => (one ? 'ouverte' : 'ouvertes'),
  nothingOpen: 'Rien n’est ouvert.',
  weeks: 'Cette semaine et la dernière',
  measure: { count: 'Interventions', failures: 'Pannes', downtime: 'Heures d’arrêt' },
  before: (day, value) => `la dernière, à ${day}\u00a0: ${value}`,
  latest: 'Dernières interventions',
  pareto: (day) => `Arrêts depuis le ${day}, par machine`,
  neverStopped: 'Aucun arrêt en 30 jours.',
};

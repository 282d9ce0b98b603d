import type { Words } from '../language.svelte';

export const wall: Words['wall'] = {
  title: 'Tableau',
  live: (clock) => `En direct, reçu à ${clock}`,
  heard: (clock) => `Reçu à ${clock}`,
  lost: (clock) => `Plus de nouvelles depuis ${clock}`,
  stopped: (one) => (one ? 'machine à l’arrêt' : 'machines à l’arrêt'),
  noneStopped: 'Aucune machine à l’arrêt',
  since: (span) => `depuis ${span}`,
  more: (count) => `et ${count} de plus`,
  open: (one) => (one ? 'ouverte' : 'ouvertes'),
  nothingOpen: 'Rien n’est ouvert.',
  weeks: 'Cette semaine et la précédente',
  measure: { count: 'Interventions', failures: 'Pannes', downtime: 'Heures d’arrêt' },
  before: (value) => `semaine passée, même jour : ${value}`,
  latest: 'Dernières interventions',
  pareto: 'Plus longtemps à l’arrêt, arrêts des 30 derniers jours',
  neverStopped: 'Aucun arrêt en 30 jours.',
};

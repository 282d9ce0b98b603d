import type { Messages } from '../en';

export const reliability: Messages['reliability'] = {
  title: 'Fiabilité',
  name: {
    availability: 'Disponibilité',
    down_time: 'Arrêts',
    failures: 'Pannes',
    mtbf: 'MTBF',
    mttr: 'MTTR',
  },
  sentence: {
    availability: 'Part du temps en service passée sans arrêt.',
    down_time: 'Heures de tous les arrêts\u00a0; ceux qui se chevauchent comptent une fois.',
    failures: 'Pannes survenues\u00a0; celles qui se chevauchent comptent une fois.',
    mtbf: 'Temps de marche moyen entre deux pannes.',
    mttr: 'Durée moyenne de réparation\u00a0: celle d’un arrêt pour panne.',
  },
  none: {
    availability: 'aucune machine en service sur la période',
    mtbf: 'aucune panne sur la période',
    mttr: 'aucun arrêt pour panne terminé sur la période',
  },
  showLogs: 'Voir les interventions',
  stillOpen: (count, one) => `${count} ${one ? 'arrêt' : 'arrêts'} en cours`,
  definitions: 'Que compte-t-on exactement\u00a0? (en anglais)',
  before: (value) => `avant\u00a0: ${value}`,
  change: (difference, isWorse) => `${difference}, ${isWorse ? 'moins bien' : 'mieux'}`,
  same: 'sans changement',
  points: (value) => `${value}\u00a0pt`,
  noCause: 'Cause non notée',
};

import type { Messages } from '../en';

export const printing: Messages['printing'] = {
  first: (printed, all) => `Les ${printed} premières interventions sur ${all}. Pour les autres, précisez les filtres ou exportez la liste.`,
  loaded: (printed, all) => `Seulement ${printed} interventions sur ${all}\u00a0: celles que la page avait chargées. Pour tout imprimer, appuyez sur Imprimer dans la page, et non dans le menu du navigateur.`,
  asOf: (moment, zone) => `État au ${moment}. Heures de ${zone}.`,
};

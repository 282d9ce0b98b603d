import type { Words } from '../en';

export const types: Words['types'] = {
  title: 'Types d’intervention',
  short: 'Types',
  intro: 'Ce que peut être une intervention : son grand bouton à la saisie, son filtre à la lecture.',
  add: 'Ajouter un type',
  none: 'Aucun type pour l’instant.',
  noneHint: 'Il en faut un à chaque intervention : une panne, une recharge, un contrôle.',
  code: 'Code',
  codeHint: 'Jusqu’à 40 lettres, chiffres, et . _ - à l’intérieur. Les programmes s’en servent ; il ne change jamais.',
  label: 'Libellé',
  labelHint: 'Ce que l’on lit ; le code s’il est vide.',
  failure: 'Compte comme panne',
  failureHint: 'Ces interventions entrent dans le décompte des pannes d’une machine.',
  active: 'En usage',
  activeHint: 'Un type hors d’usage ne peut plus être donné ; les anciennes interventions le gardent.',
  off: 'Hors d’usage',
  changedMeanwhile: 'Quelqu’un a modifié ce type entre-temps. Vos changements sont là, le reste est à jour : vérifiez, puis enregistrez de nouveau.',
};

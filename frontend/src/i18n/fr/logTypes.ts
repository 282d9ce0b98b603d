import type { Messages } from '../en';

export const logTypes: Messages['logTypes'] = {
  title: 'Types d’intervention',
  short: 'Types',
  intro: 'Chaque type est un bouton à la saisie, et un filtre à la lecture.',
  add: 'Ajouter un type',
  empty: 'Aucun type pour l’instant.',
  emptyHint: 'Chaque intervention a un type\u00a0: panne, recharge, contrôle…',
  code: 'Code',
  codeHint: 'Jusqu’à 40 lettres ou chiffres, avec . _ - à l’intérieur. Les programmes s’en servent\u00a0; il ne change jamais.',
  label: 'Libellé',
  labelHint: 'Ce qui s’affiche. Si vide, c’est le code.',
  countsAsFailure: 'Compte comme panne',
  countsAsFailureHint: 'Ces interventions comptent dans les pannes d’une machine.',
  active: 'Actif',
  activeHint: 'Un type inactif ne peut plus être choisi. Les anciennes interventions le gardent.',
  inactive: 'Inactif',
  conflict: 'Quelqu’un d’autre a modifié ce type. Vos changements sont gardés et les autres champs sont à jour\u00a0: vérifiez, puis enregistrez à nouveau.',
};

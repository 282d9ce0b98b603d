import type { Messages } from '../en';

export const logTypes: Messages['logTypes'] = {
  short: 'Types',
  intro: 'Chaque type est un bouton dans le formulaire de saisie et un filtre dans le journal.',
  add: 'Ajouter un type',
  empty: 'Aucun type pour l’instant.',
  emptyHint: 'Chaque intervention a un type\u00a0: panne, recharge, contrôle…',
  code: 'Code',
  codeHint: 'Une lettre ou un chiffre, puis des lettres, des chiffres ou . _ - (40 caractères au plus). Des programmes s’en servent\u00a0: il n’est plus modifiable ensuite.',
  label: 'Libellé',
  labelHint: 'Le nom affiché. S’il est vide, c’est le code qui s’affiche.',
  countsAsFailure: 'Compte comme panne',
  countsAsFailureHint: 'Chaque intervention de ce type compte comme une panne de sa machine.',
  active: 'Actif',
  activeHint: 'Un type inactif ne peut plus être choisi. Les anciennes interventions le gardent.',
  inactive: 'Inactif',
  delete: 'Supprimer',
  wasDeleted: 'Type supprimé.',
  conflict: 'Quelqu’un d’autre a modifié ce type. Vos changements sont toujours là et les autres champs sont à jour. Vérifiez, puis enregistrez à nouveau.',
};

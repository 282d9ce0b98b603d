import type { Messages } from '../en';

export const attributes: Messages['attributes'] = {
  add: 'Ajouter un attribut',
  new: 'Nouvel attribut',
  name: 'Nom',
  value: 'Valeur',
  kind: 'Genre de valeur',
  kinds: { text: 'Texte', number: 'Nombre', flag: 'Oui/Non' },
  remove: (name) => (name ? `Retirer ${name}` : 'Retirer cet attribut'),
  repeated: 'Ce nom est déjà pris plus haut. Choisissez-en un autre\u00a0: seul le premier est enregistré.',
};

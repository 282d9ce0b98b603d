import type { Messages } from '../en';

export const pages: Messages['pages'] = {
  imports: 'Imports',
  labels: 'Étiquettes QR',
  logTypes: 'Types d’intervention',
  machines: 'Machines',
  myTokens: 'Mes jetons',
  newLog: 'Nouvelle intervention',
  outbox: 'Pas encore envoyé',
  password: 'Changer de mot de passe',
  setUp: 'Choisir un mot de passe',
  siteState: 'Site',
  tokens: 'Jetons',
  users: 'Personnes',
  wall: 'Tableau',
  week: 'Semaine',
};

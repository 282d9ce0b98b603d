import type { Messages } from '../en';

export const account: Messages['account'] = {
  signOut: 'Se déconnecter',
  signedInAs: (name) => `Connecté\u00a0: ${name}`,
  notSignedIn: 'Vous n’êtes pas connecté.',
  setUpIntro: 'Ce lien ne sert qu’une fois. Ensuite, connectez-vous avec votre trigramme et votre mot de passe.',
  setUpTrigramHint: 'Le premier administrateur en choisit un, par exemple ABC. Si vous êtes invité, laissez vide.',
  setUpFilledIn: 'Le formulaire est déjà rempli\u00a0: il suffit d’appuyer sur le bouton. Ce lien ne sert qu’une fois.',
  incompleteLink: 'Ce lien est incomplet. Ouvrez en entier le lien que vous avez reçu.',
  expiredLink: 'Ce lien a déjà servi ou a expiré. Demandez-en un autre à un administrateur. Sur une nouvelle installation, redémarrez le service pour en obtenir un.',
  newPassword: 'Nouveau mot de passe',
  passwordHint: 'Au moins 15 caractères. Une phrase est facile à retenir.',
  firstName: 'Prénom',
  lastName: 'Nom',
  optional: 'facultatif',
  activate: 'Activer mon compte',
  role: 'Rôle',
  currentPassword: 'Mot de passe actuel',
  passwordRules: 'De 15 à 200 caractères\u00a0; une phrase est facile à retenir. Les mots de passe courants, les suites comme 1234, votre trigramme et votre nom ne comptent pas dans les 15.',
  passwordEffect: 'Vous restez connecté ici. Tous les autres navigateurs sont déconnectés. Les jetons restent valables.',
  passwordChanged: 'Mot de passe changé.',
  passwordChangedSignIn: 'Mot de passe changé. Connectez-vous avec le nouveau.',
};

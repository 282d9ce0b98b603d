import type { Messages } from '../en';

export const signIn: Messages['signIn'] = {
  intro: 'Les pannes, les réparations et les contrôles des machines.',
  signInFirst: 'Connectez-vous pour continuer.',
  trigram: 'Trigramme',
  trigramHint: 'Votre nom court sur les interventions, par exemple ABC.',
  password: 'Mot de passe',
  wrongPassword: 'Trigramme ou mot de passe incorrect. En cas d’oubli, demandez un nouveau lien à un administrateur.',
  tooManyAttempts: (span) => `Trop de tentatives. Réessayez dans ${span}.`,
};

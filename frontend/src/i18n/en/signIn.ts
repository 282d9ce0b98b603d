export const signIn = {
  intro: 'Breakdowns, repairs and checks of the machines.',
  signInFirst: 'Sign in to continue.',
  trigram: 'Trigram',
  trigramHint: 'Your short name on logs, for example ABC.',
  password: 'Password',
  wrongPassword: 'Wrong trigram or password. If you forgot it, ask an admin for a new link.',
  tooManyAttempts: (span: string) => `Too many attempts. Try again in ${span}.`,
};

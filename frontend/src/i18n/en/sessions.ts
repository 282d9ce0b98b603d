export const sessions = {
  title: 'Where you are signed in',
  hint: 'If you do not know one of these browsers, end its session and change your password.',
  browserOn: (browser: string, device: string) => `${browser} on ${device}`,
  unknown: 'Unknown browser',
  current: 'this one',
  lastUsed: (span: string) => `last used ${span} ago`,
  since: (time: string) => `signed in ${time}`,
  end: 'End session',
  endNamed: (name: string) => `End session of ${name}`,
  ended: 'Session ended.',
};

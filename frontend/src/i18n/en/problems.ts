/** Error messages by problem code. Each says what happened and what to do next. */
export const problems = {
  title: 'Something went wrong',
  code: {
    offline: 'The service does not answer. Check the network, then try again.',
    forbidden: 'Your role does not allow this.',
    'not-found': 'Not found: it does not exist, or was deleted.',
    gone: 'This was deleted.',
    'version-conflict': 'Someone else changed this in the meantime. Check the new version, then try again.',
    conflict: 'This conflicts with existing data. Check what you entered.',
    'rate-limited': 'Too many attempts. Wait a little, then try again.',
    'database-busy': 'The database is busy. Try again in a moment.',
    'query-timeout': 'This search takes too long. Narrow it down: one machine, a shorter period.',
    'storage-full': 'The disk of the service is full. Nothing can be saved until an admin frees some space.',
    'bad-request': 'The service did not understand this request. Reload the page.',
    'machine-has-logs': 'This machine has logs, so it cannot be deleted. Retire it instead.',
    'in-use': 'Logs use this, so it cannot be deleted. Deactivate it instead.',
    'payload-too-large': 'This is too large to send. Shorten the text.',
    'uri-too-long': 'Too many filters at once. Remove one.',
    'precondition-required': 'This page is out of date. Reload it.',
    'somebody-else': 'Someone else signed in in this browser, so nothing was saved. Check who is signed in, then try again.',
    unauthenticated: 'You are signed out. Sign in again.',
    internal: 'The service had an error. If it happens again, tell an admin.',
    validation: 'Some fields need fixing.',
  } as Record<string, string>,
  /** By the code of a field error. A code that is missing here shows the service's own sentence, which says more. */
  field: {
    required: 'Fill in this field.',
    'too-short': 'This is too short.',
    'too-long': 'This is too long. Shorten it.',
    pattern: 'Start with a letter or digit, then use only letters, digits or . _ -',
    taken: 'This name is already taken. Choose another.',
  } as Record<string, string>,
};

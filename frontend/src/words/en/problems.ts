/** What went wrong, by the code of the problem; each says what to do next. */
export const problems = {
  title: 'That did not work',
  code: {
    offline: 'No answer from the service. Check the network, then try again.',
    forbidden: 'Your role does not allow this.',
    'not-found': 'This does not exist, or no longer.',
    gone: 'This was deleted.',
    'version-conflict': 'Somebody changed this in the meantime. Look at the new state, then try again.',
    conflict: 'This contradicts what is there.',
    'rate-limited': 'Too many attempts. Wait a little, then try again.',
    'database-busy': 'The database is busy. Try again in a moment.',
    'query-timeout': 'This takes too long to find. Narrow it: a machine, a shorter time.',
    'storage-full': 'The disk of the service is full: nothing can be written until an admin makes room.',
    internal: 'The service failed. If it happens again, tell an admin.',
    validation: 'Something has to be corrected.',
  } as Record<string, string>,
  /** By the code of a fault at a field; others show the service's own sentence. */
  fault: {
    missing: 'This is needed.',
    string_too_short: 'This is too short.',
    string_too_long: 'This is too long.',
    pattern: 'This has signs that are not allowed here.',
  } as Record<string, string>,
  reference: (id: string) => `Reference ${id}`,
};

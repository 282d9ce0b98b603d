/** The names of pages, in the menu and in the title of the window. */
export const pages = {
  imports: 'Imports',
  labels: 'QR labels',
  logTypes: 'Log types',
  machines: 'Machines',
  myTokens: 'My tokens',
  newLog: 'New log',
  outbox: 'Not sent yet',
  password: 'Change password',
  setUp: 'Choose a password',
  siteState: 'Site',
  tokens: 'Tokens',
  users: 'People',
  wall: 'Wall',
  week: 'Week',
};

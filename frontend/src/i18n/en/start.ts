/** The first steps on a new site, and its empty pages. */
export const start = {
  title: 'First steps',
  progress: (done: string, all: string) => `${done} of ${all} done`,
  isDone: 'done',
  hide: 'Hide this list',
  steps: {
    machine: { title: 'Add the first machine', hint: 'A name is enough. Sector, model and serial number can follow.', action: 'Add a machine' },
    logs: { title: 'Bring in what you have', hint: 'Type this on the server, with your CSV file or an old folder. It shows what would be written; without --dry-run it is. The page docs/files.md explains the columns.', action: 'Or write a log' },
    team: { title: 'Invite the team', hint: 'Add a person and send them their link. On the phone beside you, it opens from a QR code.', action: 'Add a person' },
    labels: { title: 'Print labels', hint: 'Stick a QR code on each machine. Scanning it opens its page.', action: 'Choose labels' },
  } as Record<string, { title: string; hint: string; action: string }>,
};

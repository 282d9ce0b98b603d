/** The first steps on a new site, and its empty pages. */
export const start = {
  title: 'First steps',
  progress: (done: string, all: string) => `${done} of ${all} done`,
  isDone: 'done',
  hide: 'Hide this list',
  legacyHint: 'For a folder of the legacy tool, type this on the server. Without --dry-run, it writes:',
  steps: {
    machine: { title: 'Add the first machine', hint: 'A name is enough. Sector, model and serial number can follow.', action: 'Add a machine' },
    logs: { title: 'Bring in what you have', hint: 'Drop the spreadsheet or the export of your former program. You check everything before it is written, and you can undo it.', action: 'Import a table' },
    team: { title: 'Invite the team', hint: 'Add a person and send them their link. On the phone beside you, it opens from a QR code.', action: 'Add a person' },
    labels: { title: 'Print labels', hint: 'Stick a QR code on each machine. Scanning it opens its page.', action: 'Choose labels' },
  } as Record<string, { title: string; hint: string; action: string }>,
};

/** Printouts. */
export const printing = {
  first: (printed: string, all: string) => `The first ${printed} of ${all} logs. For the others, narrow the list with filters, or export it.`,
  loaded: (printed: string, all: string) => `Only ${printed} of ${all} logs: those that the page had loaded. To print all, press Print on the page instead of in the browser’s menu.`,
  asOf: (moment: string, zone: string) => `As of ${moment}. Times in ${zone}.`,
};

/** The figures of reliability, on the page of a machine and on the page "Week". */
export const reliability = {
  title: 'Reliability',
  name: {
    availability: 'Availability',
    down_time: 'Stopped',
    failures: 'Failures',
    mtbf: 'MTBF',
    mttr: 'MTTR',
  } as Record<string, string>,
  sentence: {
    availability: 'Share of the time in service without a stop.',
    down_time: 'Hours of all stops; those that overlap count once.',
    failures: 'Breakdowns that began; those that overlap count once.',
    mtbf: 'Mean running time between two failures.',
    mttr: 'Mean time to repair: how long a failure stops a machine.',
  } as Record<string, string>,
  none: {
    availability: 'no machine in service in this period',
    mtbf: 'no failure in this period',
    mttr: 'no failure stop ended in this period',
  } as Record<string, string>,
  showLogs: 'Show the logs',
  stillOpen: (count: string, one: boolean) => `${count} ${one ? 'stop' : 'stops'} not over`,
  definitions: 'What exactly is counted?',
  before: (value: string) => `before: ${value}`,
  change: (difference: string, isWorse: boolean) => `${difference}, ${isWorse ? 'worse' : 'better'}`,
  same: 'no change',
  points: (value: string) => `${value} points`,
  noCause: 'No cause noted',
};

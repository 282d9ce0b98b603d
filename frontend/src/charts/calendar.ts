/** Days and months of the site's calendar, as the keys that the API counts by: `2026-11-24`, `2026-11`. */
const DAY_MS = 24 * 60 * 60 * 1000;
const clocks = new Map<string, Intl.DateTimeFormat>();

export interface Local {
  day: string;
  /** How much of the day is over, 0 to 1. */
  share: number;
}

/** Where an instant is on the calendar of a zone. */
export function local(instant: number, timeZone: string): Local {
  let clock = clocks.get(timeZone);
  if (!clock) {
    // Swedish writes `2026-11-24 14:05`.
    clock = new Intl.DateTimeFormat('sv', { dateStyle: 'short', timeStyle: 'short', timeZone });
    clocks.set(timeZone, clock);
  }
  const [day = '', time = ''] = clock.format(instant).split(' ');
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return { day, share: (hours * 60 + minutes) / (24 * 60) };
}

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
}

/** The last days up to this one, in their order. */
export function lastDays(day: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => addDays(day, index - count + 1));
}

/** The last months up to the one of this day, in their order. */
export function lastMonths(day: string, count: number): string[] {
  const [year = 0, month = 0] = day.split('-').map(Number);
  return Array.from({ length: count }, (_, index) =>
    new Date(Date.UTC(year, month - count + index, 1)).toISOString().slice(0, 7),
  );
}

/** The Monday of a day's week. */
export function monday(day: string): string {
  return addDays(day, -((new Date(day).getUTCDay() + 6) % 7));
}

/** Where an instant falls among consecutive days, 0 to 1; beyond them it is at their edge. */
export function placeAmong(days: readonly string[], instant: number, timeZone: string): number {
  const { day, share } = local(instant, timeZone);
  const index = (Date.parse(day) - Date.parse(days[0]!)) / DAY_MS;
  return Math.min(1, Math.max(0, (index + share) / days.length));
}

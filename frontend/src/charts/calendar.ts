/** Days and months in the time zone of the site. They are written as the API writes them: `2026-11-24`, `2026-11`. */
const DAY_MS = 24 * 60 * 60 * 1000;
const formatters = new Map<string, Intl.DateTimeFormat>();

export interface LocalTime {
  day: string;
  /** The fraction of the day that has passed, 0 to 1. */
  fraction: number;
}

/** The day and the time of day of an instant in a time zone. */
export function localTime(instant: number, timeZone: string): LocalTime {
  let formatter = formatters.get(timeZone);
  if (!formatter) {
    // The Swedish locale writes `2026-11-24 14:05`.
    formatter = new Intl.DateTimeFormat('sv', { dateStyle: 'short', timeStyle: 'short', timeZone });
    formatters.set(timeZone, formatter);
  }
  const [day = '', time = ''] = formatter.format(instant).split(' ');
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return { day, fraction: (hours * 60 + minutes) / (24 * 60) };
}

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
}

/** The last `count` days up to and including this one, oldest first. */
export function lastDays(day: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => addDays(day, index - count + 1));
}

/** The last `count` months up to and including the month of this day, oldest first. */
export function lastMonths(day: string, count: number): string[] {
  const [year = 0, month = 0] = day.split('-').map(Number);
  return Array.from({ length: count }, (_, index) =>
    new Date(Date.UTC(year, month - count + index, 1)).toISOString().slice(0, 7),
  );
}

/** The Monday of a day's week. */
export function mondayOf(day: string): string {
  return addDays(day, -((new Date(day).getUTCDay() + 6) % 7));
}

/** The position of an instant among consecutive days, from 0 (start of the first) to 1 (end of the last), clamped. */
export function positionInDays(days: readonly string[], instant: number, timeZone: string): number {
  const { day, fraction } = localTime(instant, timeZone);
  const index = (Date.parse(day) - Date.parse(days[0]!)) / DAY_MS;
  return Math.min(1, Math.max(0, (index + fraction) / days.length));
}

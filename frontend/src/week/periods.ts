import { addDays, mondayOf } from '../charts/calendar';
import type { Window } from '../reliability/requests';
import { getFirst, type QueryPair } from '../router/query';

export const PRESETS = ['this-week', 'last-week', 'this-month', 'last-month', 'this-year', 'last-year'] as const;
export type Preset = (typeof PRESETS)[number];

/** A period and the one before it. While the period is not over, both end at the same moment: now, and the moment that matches it. */
export interface Comparison {
  /** Null if the user has chosen the days. */
  preset: Preset | null;
  first: string;
  last: string;
  isCurrent: boolean;
  current: Window;
  previous: Window;
}

/** A period that cannot be shown: it lies in the future, or its days are in the wrong order. */
export type Fault = 'notBegun' | 'wrongOrder';

const DAY_MS = 24 * 60 * 60 * 1000;
const IS_DAY = /^\d{4}-\d\d-\d\d$/;

/** An instant as the API writes a local time of the site: `2026-11-24T14:05:33`. */
export function localText(instant: number, timeZone: string): string {
  // The Swedish locale writes `2026-11-24 14:05:33`.
  return new Intl.DateTimeFormat('sv', { dateStyle: 'short', timeStyle: 'medium', timeZone }).format(instant).replace(' ', 'T');
}

/** The same day of an earlier month, or the last day of a month that is too short. */
function monthsBefore(day: string, months: number): string {
  const [year = 0, month = 0, date = 0] = day.split('-').map(Number);
  const lastDate = new Date(Date.UTC(year, month - months, 0)).getUTCDate();
  return new Date(Date.UTC(year, month - 1 - months, Math.min(date, lastDate))).toISOString().slice(0, 10);
}

interface Days {
  preset: Preset | null;
  first: string;
  last: string;
  /** The matching day of the period before. */
  shift: (day: string) => string;
}

function presetDays(preset: Preset, today: string): Days {
  const isLast = preset.startsWith('last');
  if (preset.endsWith('week')) {
    const first = addDays(mondayOf(today), isLast ? -7 : 0);
    return { preset, first, last: addDays(first, 6), shift: (day) => addDays(day, -7) };
  }
  const [start, months] = preset.endsWith('month') ? [`${today.slice(0, 7)}-01`, 1] : [`${today.slice(0, 4)}-01-01`, 12];
  const first = isLast ? monthsBefore(start, months) : start;
  return { preset, first, last: addDays(monthsBefore(first, -months), -1), shift: (day) => monthsBefore(day, months) };
}

function daysOf(query: readonly QueryPair[], today: string): Days {
  const isValid = (day: string): boolean => IS_DAY.test(day) && !Number.isNaN(Date.parse(day));
  const [first = '', last = today] = [getFirst(query, 'from'), getFirst(query, 'to')];
  if (isValid(first) && isValid(last)) {
    const count = (Date.parse(last) - Date.parse(first)) / DAY_MS + 1;
    return { preset: null, first, last, shift: (day) => addDays(day, -count) };
  }
  const preset = PRESETS.find((name) => name === getFirst(query, 'period'));
  return presetDays(preset ?? 'this-week', today);
}

/** The comparison that the page's address asks for. `now` is a local time of the site. */
export function comparisonOf(query: readonly QueryPair[], now: string): Comparison | Fault {
  const today = now.slice(0, 10);
  const { preset, first, last, shift } = daysOf(query, today);
  if (first > last) return 'wrongOrder';
  if (first > today) return 'notBegun';
  const isCurrent = last >= today;
  const before = shift(today);
  // Where the month before is too short, it is compared as a whole.
  const moment = before.slice(8) === today.slice(8) || !preset || preset.endsWith('week') ? `${before}${now.slice(10)}` : before;
  return {
    ...{ preset, first, last, isCurrent },
    current: { from: first, to: isCurrent ? now : last },
    previous: { from: shift(first), to: isCurrent ? moment : addDays(first, -1) },
  };
}

/** The query of the page's address for days that the user has chosen. */
export function withDays(query: readonly QueryPair[], first: string, last: string): QueryPair[] {
  return [...query.filter(([name]) => !['period', 'from', 'to'].includes(name)), ['from', first], ['to', last]];
}

/** The query of the page's address for a preset. This week needs none. */
export function withPreset(query: readonly QueryPair[], preset: Preset): QueryPair[] {
  const rest = query.filter(([name]) => !['period', 'from', 'to'].includes(name));
  return preset === 'this-week' ? rest : [...rest, ['period', preset]];
}

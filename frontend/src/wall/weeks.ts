import { addDays, monday } from '../charts/calendar';
import type { Group } from '../machines/requests';

export type Measure = 'count' | 'failures' | 'downtime';

/** A measure day by day from Monday: this week so far, and all of the last. */
export interface Weeks {
  current: number[];
  last: number[];
  /** This week so far, and the last up to the same day. */
  sum: number;
  before: number;
}

/** This week against last, from groups by day; a day without a group had nothing. */
export function weeks(groups: readonly Group[], measure: Measure, today: string): Weeks {
  const known = new Map(groups.map((group) => [group.day as string, group[measure]]));
  const start = monday(today);
  const passed = (Date.parse(today) - Date.parse(start)) / (24 * 60 * 60 * 1000) + 1;
  const week = (from: string) => Array.from({ length: 7 }, (_, index) => known.get(addDays(from, index)) ?? 0);
  const [current, last] = [week(start), week(addDays(start, -7))];
  const sum = (days: number[]) => days.slice(0, passed).reduce((all, day) => all + day, 0);
  return { current, last, sum: sum(current), before: sum(last) };
}

import { addDays, mondayOf } from '../charts/calendar';
import type { StatsGroup } from '../machines/requests';

export type Measure = 'count' | 'failures' | 'downtime';

export interface WeekComparison {
  /** The values of Monday to Sunday. */
  thisWeek: number[];
  lastWeek: number[];
  /** The sum of this week up to today, and of last week up to the same day. */
  thisWeekSum: number;
  lastWeekSum: number;
}

/** Compare this week with last week. A day that the API does not list has the value 0. */
export function compareWeeks(groups: readonly StatsGroup[], measure: Measure, today: string): WeekComparison {
  const byDay = new Map(groups.map((group) => [group.day as string, group[measure]]));
  const start = mondayOf(today);
  const daysPassed = (Date.parse(today) - Date.parse(start)) / (24 * 60 * 60 * 1000) + 1;
  const week = (monday: string) => Array.from({ length: 7 }, (_, index) => byDay.get(addDays(monday, index)) ?? 0);
  const [thisWeek, lastWeek] = [week(start), week(addDays(start, -7))];
  const sum = (days: number[]) => days.slice(0, daysPassed).reduce((all, day) => all + day, 0);
  return { thisWeek, lastWeek, thisWeekSum: sum(thisWeek), lastWeekSum: sum(lastWeek) };
}

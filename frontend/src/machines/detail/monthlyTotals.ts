import type { StatsGroup } from '../requests';

export interface TypeCounts {
  type: string;
  /** The number of logs in each month. */
  counts: number[];
  sum: number;
}

/** Count the logs of each type in each month, with the most frequent type first. */
export function countsByType(groups: readonly StatsGroup[], months: readonly string[]): TypeCounts[] {
  const types = new Map<string, number[]>();
  for (const { type, month, count } of groups) {
    const at = months.indexOf(month as string);
    if (at < 0) continue;
    const counts = types.get(type as string) ?? months.map(() => 0);
    counts[at]! += count;
    types.set(type as string, counts);
  }
  return [...types]
    .map(([type, counts]) => ({ type, counts, sum: total(counts) }))
    .sort((a, b) => b.sum - a.sum || (a.type < b.type ? -1 : 1));
}

/** The seconds of downtime in each month. A month that the API does not list has none. */
export function downtimeByMonth(groups: readonly StatsGroup[], months: readonly string[]): number[] {
  const byMonth = new Map(groups.map(({ month, downtime }) => [month as string, downtime]));
  return months.map((month) => byMonth.get(month) ?? 0);
}

export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** The index of the largest value, or -1 if all values are zero. */
export function indexOfMax(values: readonly number[]): number {
  const max = Math.max(0, ...values);
  return max > 0 ? values.indexOf(max) : -1;
}

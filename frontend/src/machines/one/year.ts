import type { Group } from '../requests';

export interface Kind {
  type: string;
  counts: number[];
  sum: number;
}

/** How many logs of each type each month had, the most frequent type first. */
export function byType(groups: readonly Group[], months: readonly string[]): Kind[] {
  const kinds = new Map<string, number[]>();
  for (const { type, month, count } of groups) {
    const at = months.indexOf(month as string);
    if (at < 0) continue;
    const counts = kinds.get(type as string) ?? months.map(() => 0);
    counts[at]! += count;
    kinds.set(type as string, counts);
  }
  return [...kinds]
    .map(([type, counts]) => ({ type, counts, sum: total(counts) }))
    .sort((a, b) => b.sum - a.sum || (a.type < b.type ? -1 : 1));
}

/** The seconds of each month; nothing where the API has no group. */
export function perMonth(groups: readonly Group[], months: readonly string[]): number[] {
  const known = new Map(groups.map(({ month, downtime }) => [month as string, downtime]));
  return months.map((month) => known.get(month) ?? 0);
}

export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Where the largest value is, or -1 where all are nothing. */
export function peak(values: readonly number[]): number {
  const most = Math.max(0, ...values);
  return most > 0 ? values.indexOf(most) : -1;
}

export interface Ranked {
  label: string;
  value: number;
  /** The share of the total that this value and all larger ones make up, 0 to 1. */
  cumulativeShare: number;
  /** Where the row leads to. */
  href?: string;
}

/** The largest values in descending order, with their cumulative share of the total. Zero values are left out. */
export function rank(values: readonly { label: string; value: number }[], limit: number): Ranked[] {
  const sorted = values.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value || (a.label < b.label ? -1 : 1));
  const total = sorted.reduce((sum, { value }) => sum + value, 0);
  let sum = 0;
  return sorted.slice(0, limit).map(({ label, value }) => ({ label, value, cumulativeShare: (sum += value) / total }));
}

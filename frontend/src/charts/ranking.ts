export interface Ranked {
  label: string;
  value: number;
  /** The share of the total that this value and all larger ones make up, 0 to 1. */
  cumulativeShare: number;
}

/** The largest values in descending order, with their cumulative share of the total. Zero values are left out. */
export function rank(values: readonly { label: string; value: number }[], limit: number): Ranked[] {
  const sorted = values.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value || (a.label < b.label ? -1 : 1));
  const total = sorted.reduce((sum, { value }) => sum + value, 0);
  let sum = 0;
  return sorted.slice(0, limit).map(({ label, value }) => ({ label, value, cumulativeShare: (sum += value) / total }));
}

export interface TextCount {
  label: string;
  value: number;
  /** All spellings of the text. */
  spellings: string[];
}

/** Count equal texts, ignoring case, accents (by `fold`) and extra spaces. The label is the most frequent spelling. */
export function countTexts(texts: readonly string[], fold: (text: string) => string): TextCount[] {
  const groups = new Map<string, Map<string, number>>();
  for (const text of texts) {
    const key = fold(text).trim().replace(/\s+/g, ' ');
    const spellings = groups.get(key) ?? new Map<string, number>();
    groups.set(key, spellings.set(text, (spellings.get(text) ?? 0) + 1));
  }
  return [...groups.values()].map((counts) => {
    const spellings = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)!);
    return { label: spellings[0]!, value: [...counts.values()].reduce((sum, count) => sum + count, 0), spellings };
  });
}

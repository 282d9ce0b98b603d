export interface Ranked {
  label: string;
  value: number;
  /** Of the whole, this and all before it, 0 to 1. */
  until: number;
}

/** The largest of some values, and how far they go together; what has no value is left out. */
export function rank(values: readonly { label: string; value: number }[], most: number): Ranked[] {
  const there = values.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value || (a.label < b.label ? -1 : 1));
  const whole = there.reduce((sum, { value }) => sum + value, 0);
  let sum = 0;
  return there.slice(0, most).map(({ label, value }) => ({ label, value, until: (sum += value) / whole }));
}

export interface Told {
  label: string;
  value: number;
  /** Each way in which it is written. */
  spellings: string[];
}

/** How often each text occurs, whatever its case and the blanks in it; each is shown as it is written most often. */
export function tally(texts: readonly string[], fold: (text: string) => string): Told[] {
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

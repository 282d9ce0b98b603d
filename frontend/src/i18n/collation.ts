const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Compare names as people order them: `Press 2` is before `Press 10`, and case and accents do not matter. */
export function compareNaturally(a: string, b: string): number {
  return collator.compare(a, b);
}

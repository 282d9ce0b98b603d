/** Days that are chosen among consecutive ones: the first and the last, by their places. */
export type Range = readonly [first: number, last: number];

/** The day at a share of the width, 0 to 1. */
export function dayAt(share: number, count: number): number {
  return Math.min(count - 1, Math.max(0, Math.floor(share * count)));
}

export function between(a: number, b: number): Range {
  return a <= b ? [a, b] : [b, a];
}

const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -7, PageUp: 7 };

/** The range when a key is pressed on one of its ends, which do not pass each other; null where the key says nothing. */
export function moved(range: Range, end: 0 | 1, key: string, count: number): Range | null {
  const [first, last] = range;
  const here = range[end];
  const wanted = key === 'Home' ? 0 : key === 'End' ? count - 1 : key in STEPS ? here + STEPS[key]! : null;
  if (wanted === null) return null;
  const place = Math.min(count - 1, Math.max(0, wanted));
  return end === 0 ? [Math.min(place, last), last] : [first, Math.max(place, first)];
}

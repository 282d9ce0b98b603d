/** A range among consecutive days: the indexes of its first and last day. */
export type DayRange = readonly [first: number, last: number];

/** The index of the day at a position from 0 to 1. */
export function dayAt(position: number, count: number): number {
  return Math.min(count - 1, Math.max(0, Math.floor(position * count)));
}

/** The range between two days, in either order. */
export function rangeBetween(a: number, b: number): DayRange {
  return a <= b ? [a, b] : [b, a];
}

const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -7, PageUp: 7 };

/** The range after a key press on one of its ends. The ends cannot pass each other. Null if the key does not move an end. */
export function moveEnd(range: DayRange, end: 0 | 1, key: string, count: number): DayRange | null {
  const [first, last] = range;
  const current = range[end];
  const wanted = key === 'Home' ? 0 : key === 'End' ? count - 1 : key in STEPS ? current + STEPS[key]! : null;
  if (wanted === null) return null;
  const day = Math.min(count - 1, Math.max(0, wanted));
  return end === 0 ? [Math.min(day, last), last] : [first, Math.max(day, first)];
}

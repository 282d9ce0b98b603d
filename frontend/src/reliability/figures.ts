import type { Formats } from '../i18n/formats';

export const FIGURES = ['availability', 'down_time', 'failures', 'mtbf', 'mttr'] as const;
export type FigureName = (typeof FIGURES)[number];
/** The figures of one group of `/reliability`: seconds, counts and shares. Null where they would divide by zero. */
export type Figures = Record<FigureName, number | null> & { open_stops: number };

const MORE_IS_WORSE: readonly FigureName[] = ['down_time', 'failures', 'mttr'];

export function figureText(formats: Formats, name: FigureName, value: number): string {
  // With one decimal: these shares differ little.
  if (name === 'availability') return value.toLocaleString(formats.language === 'fr' ? 'fr' : 'en', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
  if (name === 'down_time') return `${formats.hours(value)} h`;
  return name === 'failures' ? formats.number(value) : formats.duration(value);
}

export interface Difference {
  /** With its sign; null if the two values read the same. */
  text: string | null;
  isWorse: boolean;
}

/** How a figure differs from the period before; null if one of them is unknown. `points` are those of a percentage. */
export function difference(formats: Formats, name: FigureName, value: number | null, before: number | null, points: (text: string) => string): Difference | null {
  if (value === null || before === null) return null;
  const size = Math.abs(value - before);
  const text = name === 'availability' ? points(formats.number(Math.round(size * 1000) / 10)) : figureText(formats, name, size);
  const none = name === 'availability' ? points('0') : figureText(formats, name, 0);
  return { text: text === none ? null : `${value > before ? '+' : '−'}${text}`, isWorse: value > before === MORE_IS_WORSE.includes(name) };
}

/** Whether a log is a failure: its kind of stop says so, or else its type. */
export function isFailure({ status, down_kind }: { status: string; down_kind?: string | null }, countsAsFailure: boolean): boolean {
  return status !== 'cancelled' && (down_kind ? down_kind === 'failure' : countsAsFailure);
}

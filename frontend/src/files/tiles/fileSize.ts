import { i18n } from '../../i18n/i18n.svelte';

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;

/** A size in the largest fitting unit: `2.4 MB`. */
export function fileSize(bytes: number): string {
  const exponent = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const value = bytes / 1000 ** exponent;
  return new Intl.NumberFormat(i18n.language, { style: 'unit', unit: UNITS[exponent]!, unitDisplay: exponent ? 'short' : 'long', maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

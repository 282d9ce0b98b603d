import { attributeText } from '../../attributes/attributeText';
import { i18n } from '../../i18n/i18n.svelte';
import { valueLabel } from '../../logs/labels';

// What a person does not check: identifiers, and what every record has.
const HIDDEN = ['uuid', 'unlisted'];

/** The first records of a preview as a table: the fields that any of them has, with the texts that the console shows elsewhere. */
export function recordTable(records: readonly Record<string, unknown>[]): { heads: string[]; rows: string[][] } {
  const flat = records.map(flatten);
  const names = [...new Set(flat.flatMap((record) => Object.keys(record)))].filter((name) => !HIDDEN.includes(name));
  const heads = names.map((name) => i18n.t.terms.field[name] ?? i18n.t.machines.field[name] ?? name);
  return { heads, rows: flat.map((record) => names.map((name) => textOf(name, record[name]))) };
}

function flatten({ attributes, ...fields }: Record<string, unknown>): Record<string, unknown> {
  const all = { ...fields, ...(attributes as Record<string, unknown> | null) };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
}

function textOf(name: string, value: unknown): string {
  if (value === undefined) return '';
  if (/_(at|from|to)$/.test(name) && typeof value === 'string') return i18n.formats.exact(value);
  return typeof value === 'string' ? valueLabel(name, value) : attributeText(value as never);
}

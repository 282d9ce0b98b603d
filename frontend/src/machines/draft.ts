import type { Machine, Schemas } from '../api/client';

export const TEXTS = ['name', 'sector', 'usage', 'manufacturer', 'model', 'serial_number', 'year_of_acquisition'] as const;
export const FIELDS = [...TEXTS, 'in_service', 'comment'] as const;
export type Field = (typeof FIELDS)[number];
/** What may be changed of a machine, as it stands in a form. */
export type Draft = Record<Field, string>;

/** A new machine is in service until somebody says otherwise. */
export function draftOf(machine?: Machine): Draft {
  const shown = (field: Field) => String(machine ? (machine[field] ?? '') : field === 'in_service' ? true : '');
  return Object.fromEntries(FIELDS.map((field) => [field, shown(field)])) as Draft;
}

/** The fields in which two drafts differ. */
export function differing(before: Draft, after: Draft): Field[] {
  return FIELDS.filter((field) => before[field] !== after[field]);
}

/** What the API is sent: of an existing machine what was changed, of a new one everything. */
export function bodyOf(before: Draft | null, after: Draft): Schemas['MachineUpdate'] {
  return Object.fromEntries((before ? differing(before, after) : FIELDS).map((field) => [field, valueOf(field, after[field])]));
}

function valueOf(field: Field, text: string): unknown {
  if (field === 'name') return text;
  if (text === '') return null;
  if (field === 'in_service') return text === 'true';
  // What is no number goes as it is: the API says at its field what is wrong.
  if (field === 'year_of_acquisition') return /^\d+$/.test(text.trim()) ? Number(text) : text;
  return text;
}

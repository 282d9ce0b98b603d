import type { Machine } from '../api/client';
import { attributeFields, attributesOf, attributesPatch, attributeValues } from '../attributes/attributes';

export const TEXT_FIELDS = ['name', 'sector', 'usage', 'manufacturer', 'model', 'serial_number', 'year_of_acquisition'] as const;
export const FIELDS = [...TEXT_FIELDS, 'in_service', 'comment'] as const;
export type Field = (typeof FIELDS)[number];
/** The values of the machine form, as text. Attributes are fields too, see `attributes.ts`. */
export type MachineFormValues = Record<Field, string> & Record<string, string>;

/** The form values of a machine. A new machine starts in service. */
export function valuesOf(machine?: Partial<Machine>): MachineFormValues {
  const text = (field: Field) => String(machine ? (machine[field] ?? '') : field === 'in_service' ? true : '');
  return { ...(Object.fromEntries(FIELDS.map((field) => [field, text(field)])) as Record<Field, string>), ...attributeValues(machine?.attributes) };
}

/** The fields of these forms: those of every machine, and the attributes that one of them has. */
export function fieldsOf(...forms: MachineFormValues[]): string[] {
  return [...FIELDS, ...attributeFields(...forms)];
}

/** The fields whose values differ. */
export function changedFields(before: MachineFormValues, after: MachineFormValues): string[] {
  return fieldsOf(before, after).filter((field) => (before[field] ?? '') !== (after[field] ?? ''));
}

/** The request body: the changed fields of an existing machine, or all fields of a new one (`before` is null). */
export function bodyOf(before: MachineFormValues | null, after: MachineFormValues): Record<string, unknown> {
  const changed = before ? FIELDS.filter((field) => before[field] !== after[field]) : FIELDS;
  const attributes = before ? attributesPatch(before, after) : attributesOf(after);
  return { ...Object.fromEntries(changed.map((field) => [field, valueOf(field, after[field])])), ...(attributes && { attributes }) };
}

function valueOf(field: Field, text: string): unknown {
  if (field === 'name') return text;
  if (text === '') return null;
  if (field === 'in_service') return text === 'true';
  // Text that is not a number is sent unchanged: the API then reports the error at this field.
  if (field === 'year_of_acquisition') return /^\d+$/.test(text.trim()) ? Number(text) : text;
  return text;
}

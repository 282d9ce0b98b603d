import type { Machine, Schemas } from '../api/client';

export const TEXT_FIELDS = ['name', 'sector', 'usage', 'manufacturer', 'model', 'serial_number', 'year_of_acquisition'] as const;
export const FIELDS = [...TEXT_FIELDS, 'in_service', 'comment'] as const;
export type Field = (typeof FIELDS)[number];
/** The values of the machine form, as text. */
export type MachineFormValues = Record<Field, string>;

/** The form values of a machine. A new machine starts in service. */
export function valuesOf(machine?: Machine): MachineFormValues {
  const text = (field: Field) => String(machine ? (machine[field] ?? '') : field === 'in_service' ? true : '');
  return Object.fromEntries(FIELDS.map((field) => [field, text(field)])) as MachineFormValues;
}

/** The fields whose values differ. */
export function changedFields(before: MachineFormValues, after: MachineFormValues): Field[] {
  return FIELDS.filter((field) => before[field] !== after[field]);
}

/** The request body: the changed fields of an existing machine, or all fields of a new one (`before` is null). */
export function bodyOf(before: MachineFormValues | null, after: MachineFormValues): Schemas['MachineUpdate'] {
  return Object.fromEntries((before ? changedFields(before, after) : FIELDS).map((field) => [field, valueOf(field, after[field])]));
}

function valueOf(field: Field, text: string): unknown {
  if (field === 'name') return text;
  if (text === '') return null;
  if (field === 'in_service') return text === 'true';
  // Text that is not a number is sent unchanged: the API then reports the error at this field.
  if (field === 'year_of_acquisition') return /^\d+$/.test(text.trim()) ? Number(text) : text;
  return text;
}

/** The values of a form, by field name. An empty text stands for null. */
export type FormValues = Record<string, string | boolean>;

export function valuesOf(record: object, fields: readonly string[]): FormValues {
  const values = record as Record<string, string | boolean | null | undefined>;
  return Object.fromEntries(fields.map((field) => [field, values[field] ?? '']));
}

/** The body of a PATCH request: the fields whose values differ. */
export function patchOf(before: FormValues, after: FormValues): Record<string, string | boolean | null> {
  const changed = Object.entries(after).filter(([field, value]) => trimText(value) !== before[field]);
  return Object.fromEntries(changed.map(([field, value]) => [field, trimText(value) === '' ? null : trimText(value)]));
}

/** Three-way merge: the user's changes (`before` to `mine`) applied to the record's current values. */
export function rebase(before: FormValues, mine: FormValues, current: FormValues): FormValues {
  return Object.fromEntries(Object.keys(current).map((field) => [field, mine[field] === before[field] ? current[field]! : mine[field]!]));
}

function trimText(value: string | boolean): string | boolean {
  return typeof value === 'string' ? value.trim() : value;
}

/** The values of a form, by the fields of the body; an empty text is none. */
export type Values = Record<string, string | boolean>;

export function valuesOf(record: object, fields: readonly string[]): Values {
  const given = record as Record<string, string | boolean | null | undefined>;
  return Object.fromEntries(fields.map((field) => [field, given[field] ?? '']));
}

/** What a PATCH says of the values that differ. */
export function changes(before: Values, mine: Values): Record<string, string | boolean | null> {
  const changed = Object.entries(mine).filter(([field, value]) => trimmed(value) !== before[field]);
  return Object.fromEntries(changed.map(([field, value]) => [field, trimmed(value) === '' ? null : trimmed(value)]));
}

/** What one changed here, upon what the record has become meanwhile. */
export function rebase(before: Values, mine: Values, now: Values): Values {
  return Object.fromEntries(Object.keys(now).map((field) => [field, mine[field] === before[field] ? now[field]! : mine[field]!]));
}

function trimmed(value: string | boolean): string | boolean {
  return typeof value === 'string' ? value.trim() : value;
}

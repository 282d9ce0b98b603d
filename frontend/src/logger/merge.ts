import { FIELDS, type Field, type Values } from './values';

/** A field that two people left different. */
export interface Difference {
  field: Field;
  mine: string;
  theirs: string;
  /** Whose it should be, where only one of the two changed it; null where a person has to say. */
  suggested: 'mine' | 'theirs' | null;
}

/** Where my version and theirs differ, having begun from one base. */
export function differences(base: Values, mine: Values, theirs: Values): Difference[] {
  return FIELDS.filter((field) => mine[field] !== theirs[field]).map((field) => ({
    field,
    mine: mine[field],
    theirs: theirs[field],
    suggested: theirs[field] === base[field] ? 'mine' : mine[field] === base[field] ? 'theirs' : null,
  }));
}

export interface Choice {
  whose: 'mine' | 'theirs' | 'both' | null;
  /** What stands where both are taken, as it was mended by hand. */
  text: string;
}

export function choicesOf(found: readonly Difference[]): Partial<Record<Field, Choice>> {
  const both = ({ mine, theirs }: Difference): string => [theirs, mine].filter(Boolean).join('\n');
  return Object.fromEntries(found.map((one) => [one.field, { whose: one.suggested, text: both(one) }]));
}

/** The version that the choices make, or null as long as one is open. */
export function merged(theirs: Values, found: readonly Difference[], choices: Partial<Record<Field, Choice>>): Values | null {
  const result = { ...theirs };
  for (const one of found) {
    const choice = choices[one.field];
    if (!choice?.whose) return null;
    result[one.field] = choice.whose === 'both' ? choice.text : one[choice.whose];
  }
  return result;
}

import { fieldsOf, type Values } from './values';

/** A field in which two versions of a log differ. */
export interface Difference {
  field: string;
  mine: string;
  theirs: string;
  /** The version that changed the field, if only one of them did; null if the user has to choose. */
  suggested: 'mine' | 'theirs' | null;
}

/** The differences between two versions of a log that started from the same base (three-way merge). */
export function differences(base: Values, mine: Values, theirs: Values): Difference[] {
  const textOf = (values: Values, field: string): string => values[field] ?? '';
  return fieldsOf(base, mine, theirs)
    .map((field) => ({ field, before: textOf(base, field), mine: textOf(mine, field), theirs: textOf(theirs, field) }))
    .filter((one) => one.mine !== one.theirs)
    .map(({ before, ...one }) => ({ ...one, suggested: one.theirs === before ? 'mine' : one.mine === before ? 'theirs' : null }));
}

export interface MergeChoice {
  version: 'mine' | 'theirs' | 'both' | null;
  /** The text if the user takes both versions; the user can edit it. */
  bothText: string;
}

export function initialChoices(found: readonly Difference[]): Record<string, MergeChoice | undefined> {
  const both = ({ mine, theirs }: Difference): string => [theirs, mine].filter(Boolean).join('\n');
  return Object.fromEntries(found.map((one) => [one.field, { version: one.suggested, bothText: both(one) }]));
}

/** The merged log, or null until the user has chosen a version for every difference. */
export function applyChoices(theirs: Values, found: readonly Difference[], choices: Record<string, MergeChoice | undefined>): Values | null {
  const result: Values = { ...theirs };
  for (const one of found) {
    const choice = choices[one.field];
    if (!choice?.version) return null;
    result[one.field] = choice.version === 'both' ? choice.bothText : one[choice.version];
  }
  return result;
}

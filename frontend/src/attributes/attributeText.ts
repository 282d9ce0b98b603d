import { i18n } from '../i18n/i18n.svelte';

/** The value of an attribute, as people read it. */
export function attributeText(value: unknown): string {
  if (typeof value === 'boolean') return value ? i18n.t.terms.yes : i18n.t.terms.no;
  return typeof value === 'number' ? i18n.formats.number(value) : String(value);
}

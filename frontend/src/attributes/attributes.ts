/**
 * Attributes in forms. The values of a form are texts, so each attribute is a value of its own: `attributes/power_kw` is `"41"`,
 * written as JSON. A field name with a slash is also the JSON pointer at which the API reports an error.
 */
import type { FieldError } from '../api/error';

export type Attributes = Record<string, string | number | boolean>;
export type Kind = 'text' | 'number' | 'flag';
type Values = Record<string, string>;

const PREFIX = 'attributes/';
// No JSON text begins with this.
const NOT_A_NUMBER = '?';
const MAX_TEXT = 1000;

export function isAttribute(field: string): boolean {
  return field.startsWith(PREFIX);
}

export function fieldOf(name: string): string {
  return PREFIX + name;
}

/** The name of an attribute, from the name of its field. */
export function nameOf(field: string): string {
  return field.slice(PREFIX.length);
}

/** The form values of a record's attributes. */
export function attributeValues(attributes: object | null | undefined): Values {
  return Object.fromEntries(Object.entries(attributes ?? {}).map(([name, value]) => [fieldOf(name), JSON.stringify(value)]));
}

/** The fields of all attributes that one of these forms has. */
export function attributeFields(...forms: Values[]): string[] {
  return [...new Set(forms.flatMap((values) => Object.keys(values).filter(isAttribute)))];
}

/** The attributes of a form, as the body of a new record. Undefined if there are none. */
export function attributesOf(values: Values): Attributes | undefined {
  const fields = attributeFields(values).filter((field) => values[field]);
  return fields.length ? Object.fromEntries(fields.map((field) => [nameOf(field), parse(values[field]!)])) : undefined;
}

/** The attributes that differ, as a merge patch: null removes one. Undefined if none differs. */
export function attributesPatch(before: Values, after: Values): Record<string, unknown> | undefined {
  const changed = attributeFields(before, after).filter((field) => (before[field] ?? '') !== (after[field] ?? ''));
  return changed.length ? Object.fromEntries(changed.map((field) => [nameOf(field), after[field] ? parse(after[field]) : null])) : undefined;
}

/** The stored form of what the user typed. A number that is none stays as it was typed, after a mark: `attributeErrors` reports it. */
export function serialize(kind: Kind, typed: string): string {
  if (typed.trim() === '') return '';
  if (kind === 'text') return JSON.stringify(typed);
  if (kind === 'flag') return typed;
  const number = Number(typed.trim().replace(/[\s\u00a0\u202f]/g, '').replace(',', '.'));
  return Number.isFinite(number) ? JSON.stringify(number) : NOT_A_NUMBER + typed;
}

/**
 * What the API would refuse, at the field of the attribute that is wrong: the API names only `attributes` as a whole. Numbers that
 * are none are found only here.
 */
export function attributeErrors(values: Values): FieldError[] {
  return attributeFields(values).flatMap((field) => {
    const code = values[field] ? errorCode(nameOf(field), values[field]) : null;
    return code ? [{ pointer: `/${field}`, code, message: '' }] : [];
  });
}

function errorCode(name: string, stored: string): string | null {
  if (!name) return 'required';
  if (/\.|__/.test(name)) return 'attribute-name';
  if (stored.startsWith(NOT_A_NUMBER)) return 'not-a-number';
  return String(parse(stored)).length > MAX_TEXT ? 'too-long' : null;
}

export function parse(stored: string): string | number | boolean {
  return stored.startsWith(NOT_A_NUMBER) ? stored.slice(NOT_A_NUMBER.length) : (JSON.parse(stored) as string | number | boolean);
}

/** The kind of a stored value, as its form shows it. */
export function kindOf(stored: string): Kind {
  if (stored.startsWith(NOT_A_NUMBER)) return 'number';
  const value = parse(stored);
  return typeof value === 'boolean' ? 'flag' : typeof value === 'number' ? 'number' : 'text';
}

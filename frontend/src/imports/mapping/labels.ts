import { site } from '../../api/site.svelte';
import { i18n } from '../../i18n/i18n.svelte';
import { typeLabel } from '../../logs/labels';
import { ATTRIBUTE, attributeName, DURATION, resourceOf, SKIP, START_TIME, OTHER, type Imported, type Mapping, type Target } from './mapping';

/** The name of a field of a mapping, as the console shows it elsewhere. */
export function fieldLabel(mapping: Mapping, place: string, field: string): string {
  const t = i18n.t;
  if (field.startsWith('attributes.')) return t.imports.attributeNamed(attributeName(field));
  if (place === 'machine_fields') return t.imports.ofMachine(t.machines.field[field] ?? field);
  const labels: Record<Imported, Record<string, string>> = { logs: t.terms.field, machines: t.machines.field, log_types: t.imports.typeFields, users: t.imports.userFields };
  return labels[resourceOf(mapping)][field] ?? field;
}

/** The name of what a column becomes. */
export function targetLabel(mapping: Mapping, target: Target): string {
  const t = i18n.t.imports;
  const words: Record<Target, string> = { [SKIP]: t.skip, [ATTRIBUTE]: t.attribute, [START_TIME]: t.startTime, [DURATION]: t.duration, [OTHER]: t.otherRule };
  const dot = target.indexOf('.');
  return words[target] ?? fieldLabel(mapping, target.slice(0, dot), target.slice(dot + 1));
}

/** The values that a field can have, with their labels; null if it takes any text. */
export function choicesOf(field: string): (readonly [value: string, label: string])[] | null {
  const { terms } = i18n.t;
  const named: Record<string, Record<string, string>> = { severity: terms.severity, status: terms.status, role: terms.role };
  if (field === 'type') return [...site.types.values()].map(({ code }) => [code, typeLabel(code)] as const);
  return named[field] ? Object.entries(named[field]) : null;
}

import { site } from '../api/site.svelte';
import type { Pair } from '../router/query';
import { tongue } from '../words/language.svelte';
import { stop } from './view';

/** A type as the site calls it. Those that come with the product have no label but their code: they have one here. */
export function typeLabel(code: string): string {
  const label = site.types.get(code)?.label ?? code;
  return label === code ? (tongue.t.terms.type[code] ?? code) : label;
}

/** A value of a field in words. */
export function valueLabel(field: string, value: string | null): string {
  const { t } = tongue;
  if (value === null) return field === 'user' ? t.logs.nobody : t.terms.none;
  if (field === 'type') return typeLabel(value);
  if (field === 'severity' || field === 'status') return t.terms[field][value] ?? value;
  return value;
}

const SIGNS: Record<string, string> = { ne: '≠', lt: '<', lte: '≤', gt: '>', gte: '≥', in: '=', nin: '≠', contains: '∋' };

function fieldLabel(field: string): string {
  return tongue.t.terms.field[field] ?? field;
}

/** What a filter of the API says, in words where we have them, else in its own. */
function pairLabel([name, value]: Pair): string {
  const { t } = tongue;
  const [field = '', operator] = name.split('__');
  if (operator === 'isnull') return value === 'true' ? t.logs.is(fieldLabel(field), valueLabel(field, null)) : fieldLabel(field);
  if (field === 'started_at' && (operator === 'gte' || operator === 'lte')) {
    const day = t.logs.presets[value] ?? value;
    if (operator === 'gte') return value in t.logs.presets ? day : t.logs.since(dayLabel(value));
    return t.logs.until(dayLabel(value));
  }
  if (name === 'deleted') return t.logs.deleted;
  if (!operator) return t.logs.is(fieldLabel(field), valueLabel(field, value));
  return `${fieldLabel(field)} ${SIGNS[operator] ?? operator} ${valueLabel(field, value)}`;
}

function dayLabel(value: string): string {
  return /^\d{4}-\d\d-\d\d$/.test(value) ? tongue.formats.day(`${value}T12:00:00Z`, Date.now()) : value;
}

/** What a chip says: the filters of one field, together. */
export function chipLabel(pairs: readonly Pair[]): string {
  const [name] = pairs[0]!;
  const kind = stop(pairs);
  if (kind) return tongue.t.logs.stops[kind]!;
  if (pairs.length > 1 && pairs.every(([other]) => other === name)) {
    return tongue.t.logs.is(fieldLabel(name), pairs.map(([, value]) => valueLabel(name, value)).join(', '));
  }
  return pairs.map(pairLabel).join(' · ');
}

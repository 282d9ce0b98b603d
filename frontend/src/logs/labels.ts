import { serverTime } from '../api/serverTime.svelte';
import { site } from '../api/site.svelte';
import type { QueryPair } from '../router/query';
import { i18n } from '../i18n/i18n.svelte';
import { INSIDE, stopFilter, withStopFilter } from './listQuery';

/** The label of a log type. The predefined types have no label on the site; the console translates their codes. */
export function typeLabel(code: string): string {
  const label = site.types.get(code)?.label ?? code;
  return label === code ? (i18n.t.terms.type[code] ?? code) : label;
}

/** The label of a field's value. */
export function valueLabel(field: string, value: string | null): string {
  const { t } = i18n;
  if (value === null) return field === 'user' ? t.logs.noAuthor : field === 'down_kind' ? t.terms.byType : t.terms.none;
  if (field === 'type') return typeLabel(value);
  if (field === 'severity' || field === 'status' || field === 'down_kind') return t.terms[field][value] ?? value;
  if (field === 'type.counts_as_failure') return value === 'true' ? t.terms.yes : t.terms.no;
  return value;
}

const OPERATOR_SIGNS: Record<string, string> = { ne: '≠', lt: '<', lte: '≤', gt: '>', gte: '≥', in: '=', nin: '≠', contains: '∋' };

function fieldLabel(field: string): string {
  return i18n.t.terms.field[field] ?? field;
}

/** The label of one filter of the API. A field or value that the console does not know is shown as the API names it. */
function pairLabel([name, value]: QueryPair): string {
  const { t } = i18n;
  const [field = '', operator] = name.split('__');
  if (operator === 'isnull') return value === 'true' ? t.logs.fieldIs(fieldLabel(field), valueLabel(field, null)) : fieldLabel(field);
  if (field === 'started_at' && (operator === 'gte' || operator === 'lte')) {
    const day = t.logs.presets[value] ?? value;
    if (operator === 'gte') return value in t.logs.presets ? day : t.logs.since(dayLabel(value));
    return t.logs.until(dayLabel(value));
  }
  if (name === 'deleted') return t.logs.deleted;
  if (name === INSIDE) return t.logs.insideWords;
  if (!operator) return t.logs.fieldIs(fieldLabel(field), valueLabel(field, value));
  const values = operator === 'in' || operator === 'nin' ? value.split(',') : [value];
  return `${fieldLabel(field)} ${OPERATOR_SIGNS[operator] ?? operator} ${values.map((one) => dayLabel(valueLabel(field, one))).join(', ')}`;
}

function dayLabel(value: string): string {
  return /^\d{4}-\d\d-\d\d$/.test(value) ? i18n.formats.day(`${value}T12:00:00Z`, serverTime.now()) : value;
}

/** The text of a filter chip: the label of its stop filter, if it has one, and that of each other filter. */
export function chipLabel(pairs: readonly QueryPair[]): string {
  const stop = stopFilter(pairs);
  if (stop) return [i18n.t.logs.stops[stop]!, ...withStopFilter(pairs, null).map(pairLabel)].join(' · ');
  const [name] = pairs[0]!;
  if (pairs.length > 1 && pairs.every(([other]) => other === name)) {
    return i18n.t.logs.fieldIs(fieldLabel(name), pairs.map(([, value]) => valueLabel(name, value)).join(', '));
  }
  return pairs.map(pairLabel).join(' · ');
}

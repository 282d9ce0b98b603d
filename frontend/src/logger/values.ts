import type { FullLog } from '../record/record.svelte';
import type { LogBody } from '../offline/queue';
import { Failure } from '../api/failure';

export const TEXTS = ['comment', 'cause', 'action', 'project'] as const;
export const TIMES = ['started_at', 'ended_at', 'down_from', 'down_to'] as const;
export const FIELDS = ['machine', 'type', 'severity', 'status', ...TEXTS, 'user', ...TIMES] as const;
export type Field = (typeof FIELDS)[number];

/** What a form holds: texts, of which the empty one is none; times as instants. */
export type Values = Record<Field, string>;

/** Where the first fault is, among the controls of a form. */
export const FAULTY = ':is(input, textarea)[aria-invalid=true], [role=radiogroup][aria-invalid=true] input';
export const SEVERITIES = ['info', 'minor', 'major', 'critical'];
export const STATUSES = ['open', 'in_progress', 'done', 'cancelled'];

/** A form in which nothing was written. */
export function blank(machine = ''): Values {
  const empty = Object.fromEntries(FIELDS.map((field) => [field, ''])) as Values;
  return { ...empty, machine, severity: 'info', status: 'done' };
}

export function valuesOf(record: FullLog | LogBody): Values {
  const given = record as Record<string, unknown>;
  return { ...blank(), ...Object.fromEntries(FIELDS.map((field) => [field, given[field] ?? blank()[field]])) };
}

export function same(one: Values, other: Values): boolean {
  return FIELDS.every((field) => one[field] === other[field]);
}

/** A new log as it is sent; it began when it was written, unless it says otherwise. */
export function bodyOf(values: Values, now: string): LogBody {
  const given = FIELDS.filter((field) => values[field] !== '').map((field) => [field, trimmed(field, values[field])]);
  return { started_at: now, ...Object.fromEntries(given) };
}

/** What a form changes of a record, as a merge patch. */
export function changesOf(values: Values, record: FullLog): Partial<Record<Field, string | null>> {
  const before = valuesOf(record);
  const changed = FIELDS.filter((field) => values[field] !== before[field]);
  return Object.fromEntries(changed.map((field) => [field, values[field] === '' ? null : trimmed(field, values[field])]));
}

/** What a log cannot do without, in the words of the API: without a network nobody else says so. */
export function missing(values: Values): Failure | null {
  const errors = (['machine', 'type'] as const)
    .filter((field) => !values[field].trim())
    .map((field) => ({ pointer: `/${field}`, code: 'missing', message: '' }));
  return errors.length ? new Failure({ code: 'validation', status: 422, errors }) : null;
}

function trimmed(field: Field, value: string): string {
  return field === 'machine' || field === 'user' ? value.trim() : value;
}

/** An instant as a field for date and time shows it, on the clocks of the site. */
export function toLocal(instant: string, zone: string): string {
  if (!instant) return '';
  const parts = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' } as const;
  // Of all languages, Swedish writes the day as ISO 8601 does.
  return new Intl.DateTimeFormat('sv-SE', { ...parts, hourCycle: 'h23', timeZone: zone }).format(new Date(instant)).replace(' ', 'T');
}

/** The instant of a time on the clocks of the site; of a time that they show twice, one of the two. */
export function toInstant(local: string, zone: string): string {
  if (!local) return '';
  const wanted = Date.parse(`${local}Z`);
  const shift = (at: number): number => Date.parse(`${toLocal(new Date(at).toISOString(), zone)}Z`) - at;
  // The second step is for the hours around a change of the clocks.
  const near = wanted - shift(wanted);
  return new Date(wanted - shift(near)).toISOString();
}

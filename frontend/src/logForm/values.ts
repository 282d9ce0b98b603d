import type { LogType } from '../api/client';
import type { FullLog } from '../logDetail/logRecord.svelte';
import type { LogBody } from '../offline/queue';
import { attributeErrors, attributeFields, attributesOf, attributesPatch, attributeValues } from '../attributes/attributes';
import { ApiError, type FieldError } from '../api/error';
import type { QueryPair } from '../router/query';

export const TEXT_FIELDS = ['comment', 'cause', 'action', 'project'] as const;
export const TIME_FIELDS = ['started_at', 'ended_at', 'down_from', 'down_to'] as const;
export const FIELDS = ['machine', 'type', 'severity', 'status', ...TEXT_FIELDS, 'user', ...TIME_FIELDS, 'down_kind'] as const;
export type Field = (typeof FIELDS)[number];

/**
 * The values of the log form, as text. An empty text stands for null; times are UTC instants. `unlisted` is the name of a machine
 * that the user wants to use although it is not in the list. It no longer counts when `machine` has another name. Attributes are
 * fields too, see `attributes.ts`.
 */
export type Values = Record<Field | 'unlisted', string> & Record<string, string>;

/** What a form starts with besides the machine, when its address says so: a breakdown, for example. */
export type Preset = Partial<Record<Field, string>>;

/** The CSS selector of the form controls that have an error. */
export const INVALID_CONTROL = ':is(input, textarea)[aria-invalid=true], [role=radiogroup][aria-invalid=true] input';
const DAY_MS = 24 * 60 * 60 * 1000;
export const SEVERITIES = ['info', 'minor', 'major', 'critical'];
export const DOWN_KINDS = ['failure', 'planned', 'external'];
export const STATUSES = ['open', 'in_progress', 'done', 'cancelled'];

/** The values of a form that the user has not filled in yet. */
export function emptyValues(machine = ''): Values {
  const empty = Object.fromEntries(FIELDS.map((field) => [field, ''])) as Record<Field, string>;
  return { ...empty, unlisted: '', machine, severity: 'info', status: 'done' };
}

/** The preset in the query of the form's address. */
export function presetOf(query: readonly QueryPair[]): Preset {
  const isKnown = ([field, value]: QueryPair): boolean => (FIELDS as readonly string[]).includes(field) && field !== 'machine' && value !== '';
  return Object.fromEntries(query.filter(isKnown));
}

/** Unsent input with the preset in the fields that the user has not filled in. */
export function withPreset(stored: Partial<Values>, preset: Preset): Values {
  const empty = emptyValues();
  const unfilled = Object.entries(preset).filter(([field]) => (stored[field as Field] ?? '') === empty[field as Field]);
  return { ...empty, ...stored, ...Object.fromEntries(unfilled) } as Values;
}

/** The preset of a breakdown that is reported now: the machine stops, and its severity is major until somebody changes it. */
export function breakdownPreset(types: Iterable<LogType>, now: string): Preset {
  const failures = [...types].filter((type) => type.active && type.counts_as_failure);
  const type = failures.find(({ code }) => code === 'error') ?? failures[0];
  return { ...(type && { type: type.code }), severity: 'major', status: 'open', down_from: now };
}

/** Whether these values make a log done while its machine is still stopped. If the log was so before, nobody is asked again. */
export function endsWithOpenStop(values: Values, before?: Values): boolean {
  const isDoneAndStopped = ({ status, down_from, down_to }: Values): boolean => status === 'done' && !!down_from && !down_to;
  return isDoneAndStopped(values) && !(before && isDoneAndStopped(before));
}

/** The values as they are sent: a log without a stop has no kind of stop. */
function withoutStrayKind(values: Values): Values {
  return values.down_from ? values : { ...values, down_kind: '' };
}

export function isUnlisted({ machine, unlisted }: Values): boolean {
  return unlisted !== '' && unlisted === machine.trim();
}

export function valuesOf(log: FullLog | LogBody | Record<string, unknown>): Values {
  const given = log as Record<string, unknown>;
  const texts = Object.fromEntries(FIELDS.map((field) => [field, (given[field] ?? emptyValues()[field]) as string]));
  const values = { ...emptyValues(), ...texts, ...attributeValues(given.attributes as object | null) };
  return given.unlisted ? { ...values, unlisted: values.machine } : values;
}

/** The fields of these forms: those of every log, and the attributes that one of them has. */
export function fieldsOf(...forms: Values[]): string[] {
  return [...FIELDS, ...attributeFields(...forms)];
}

export function areEqual(one: Values, other: Values): boolean {
  return fieldsOf(one, other).every((field) => (one[field] ?? '') === (other[field] ?? ''));
}

/** The request body of a new log. If the start time is empty, it is `now`. */
export function bodyOf(given: Values, now: string): LogBody {
  const values = withoutStrayKind(given);
  const fields = FIELDS.filter((field) => values[field] !== '').map((field) => [field, trimReference(field, values[field])]);
  const attributes = attributesOf(values);
  return { started_at: now, ...Object.fromEntries(fields), ...(attributes && { attributes }), ...(isUnlisted(values) && { unlisted: true }) };
}

/** The changed fields, as the body of a PATCH request (a JSON merge patch). */
export function patchOf(given: Values, log: FullLog): Record<string, unknown> {
  const [before, values] = [valuesOf(log), withoutStrayKind(given)];
  const changed = FIELDS.filter((field) => values[field] !== before[field]);
  const attributes = attributesPatch(before, values);
  const fields = changed.map((field) => [field, values[field] === '' ? null : trimReference(field, values[field])]);
  return { ...Object.fromEntries(fields), ...(attributes && { attributes }) };
}

/** Check the form in the browser, with the error codes of the API: without network, the API cannot check it. */
export function formError(values: Values): ApiError | null {
  const errors: FieldError[] = (['machine', 'type'] as const)
    .filter((field) => !values[field].trim())
    .map((field) => ({ pointer: `/${field}`, code: 'required', message: '' }));
  errors.push(...attributeErrors(values));
  return errors.length ? new ApiError({ code: 'validation', status: 422, errors }) : null;
}

/** Remove the spaces around the name of a machine or a user. Other texts are sent as the user typed them. */
function trimReference(field: Field, value: string): string {
  return field === 'machine' || field === 'user' ? value.trim() : value;
}

/** Convert an instant to the value of a `datetime-local` input, in the time zone of the site. */
export function toLocal(instant: string, zone: string): string {
  if (!instant) return '';
  const parts = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' } as const;
  // The Swedish locale writes dates as ISO 8601 does.
  return new Intl.DateTimeFormat('sv-SE', { ...parts, hourCycle: 'h23', timeZone: zone }).format(new Date(instant)).replace(' ', 'T');
}

/**
 * Convert the value of a `datetime-local` input to an instant, by the rule of the API: a time that the clocks show twice is the
 * earlier one, and a time that they skip is moved forward by the gap.
 */
export function toInstant(local: string, zone: string): string {
  if (!local) return '';
  const wanted = Date.parse(`${local}Z`);
  const offset = (at: number): number => Date.parse(`${toLocal(new Date(at).toISOString(), zone)}Z`) - at;
  // In the hours around a change of the clocks, the offset from before the change gives the earlier instant.
  const candidates = [wanted - offset(wanted - DAY_MS), wanted - offset(wanted + DAY_MS)].map((at) => new Date(at).toISOString());
  return candidates.find((instant) => toLocal(instant, zone) === local.slice(0, 16)) ?? candidates[0]!;
}

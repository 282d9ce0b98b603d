import { attributeLabel } from '../attributes/attributeLabel';
import { attributeText } from '../attributes/attributeText';
import { ApiError, type Problem } from '../api/error';
import { serverTime } from '../api/serverTime.svelte';
import { errorText, fieldErrorText } from '../i18n/errorText';
import { i18n } from '../i18n/i18n.svelte';
import { typeLabel, valueLabel } from '../logs/labels';
import { fixLogPath, newLogPath, path } from '../router/routes';
import { EDIT_LOG, EDIT_MACHINE, NEW_LOG, REFUSED, type DraftInfo } from '../offline/draft.svelte';
import type { QueuedWrite } from '../offline/queue';

/** What a write is about: a machine's name, or the key of another record. */
export function subjectOf(item: QueuedWrite): string {
  if (item.kind === 'create') return item.body.machine;
  if (item.kind === 'upload') return item.machine;
  return item.resource === 'logs' ? String(item.base.machine) : item.key;
}

/** The user's words in a write: the description of a log, or the fields that a change sets. */
export function textOf(item: QueuedWrite): string {
  if (item.kind === 'create') return (item.body.comment as string | undefined) ?? '';
  if (item.kind === 'delete') return String(item.base.comment ?? '');
  if (item.kind === 'upload') return '';
  const { attributes, ...fields } = item.body;
  const lines = [
    ...Object.entries(fields).map(([field, value]) => [fieldLabel(item.resource, field), value === null ? null : shown(field, value)]),
    ...Object.entries(attributes ?? {}).map(([name, value]) => [attributeLabel(name), value === null ? null : attributeText(value)]),
  ];
  return lines.map(([label, text]) => `${label}: ${text ?? i18n.t.terms.none}`).join('\n');
}

/** The kind of a write, and when it happened if that is known. */
export function contextOf(item: QueuedWrite): { label: string; instant: string | null } {
  const kind = i18n.t.outbox.kinds[item.kind]!;
  return item.kind === 'create' ? { label: typeLabel(item.body.type), instant: item.body.started_at } : { label: kind, instant: null };
}

/** Why the service refused a write, and what is wrong with its fields. */
export function problemText(problem: Problem): string {
  const { terms, logs } = i18n.t;
  const error = new ApiError(problem);
  const fieldErrors = error.fieldErrors.map((fieldError) => {
    const field = terms.field[fieldError.pointer?.slice(1) ?? ''];
    return field ? logs.fieldIs(field, fieldErrorText(fieldError)) : fieldErrorText(fieldError);
  });
  return [i18n.t.files.problems[problem.code] ?? errorText(error), ...fieldErrors].join(' ');
}

/** The address of the form that changes a waiting write, if there is one. */
export function fixPath(item: QueuedWrite): string | null {
  if (item.kind === 'create') return fixLogPath(item.uuid);
  if (item.kind === 'delete' || item.kind === 'upload') return null;
  const pages = {
    logs: () => path('log', { uuid: item.key }),
    machines: () => path('machine', { name: item.key }),
    'log-types': () => path('logType', { code: item.key }),
    users: () => path('user', { trigram: item.key }),
  };
  return `${pages[item.resource]()}?fix=${item.uuid}`;
}

/** The kind of form of a draft, its subject, and the address that opens it. */
export function draftDescription({ form, draft }: DraftInfo): { kind: string; subject: string; address: string } {
  const kind = [NEW_LOG, REFUSED, EDIT_LOG, EDIT_MACHINE].find((one) => form.startsWith(one)) ?? NEW_LOG;
  const key = form.slice(kind.length);
  const addresses: Record<string, string> = {
    [NEW_LOG]: key ? newLogPath(key) : path('newLog'),
    [REFUSED]: fixLogPath(key),
    [EDIT_LOG]: `${path('log', { uuid: key })}?edit`,
    [EDIT_MACHINE]: key ? `${path('machine', { name: key })}?edit` : `${path('machines')}?add`,
  };
  const isNewMachine = kind === EDIT_MACHINE && !key;
  return { kind: isNewMachine ? i18n.t.machines.newMachine : i18n.t.outbox.draftKinds[kind]!, subject: draft.values.machine ?? draft.values.name ?? key, address: addresses[kind]! };
}

function fieldLabel(resource: string, field: string): string {
  const { terms, machines } = i18n.t;
  return (resource === 'machines' ? (machines.field as Record<string, string>)[field] : terms.field[field]) ?? field;
}

function shown(field: string, value: unknown): string {
  const text = String(value);
  return /^\d{4}-\d\d-\d\dT/.test(text) ? i18n.formats.dateTime(text, serverTime.now()) : valueLabel(field, text);
}

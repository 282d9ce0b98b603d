import { serverTime } from '../api/serverTime.svelte';
import type { Schemas } from '../api/client';
import { valueLabel } from '../logs/labels';
import { i18n } from '../i18n/i18n.svelte';
import { wordDiff, type DiffPart } from './wordDiff';

export type HistoryEntry = Schemas['HistoryPart'] & {
  seq: number;
  at: string;
  user: string | null;
  via: string;
  /** A log is never renamed or merged. */
  op: 'create' | 'update' | 'delete' | 'restore' | 'import';
  changes: Record<string, [unknown, unknown]>;
  note: string | null;
};

export interface Sentence {
  text: string;
  /** The word-by-word difference, if the field is a long text. */
  diff?: DiffPart[];
}

const TEXT_FIELDS = ['comment', 'cause', 'action'];
const TIME_FIELDS = ['started_at', 'ended_at', 'down_from', 'down_to'];
const SEVERITIES = ['info', 'minor', 'major', 'critical'];

/** Describe an entry of the history, with one sentence for each changed field. */
export function sentences(entry: HistoryEntry): Sentence[] {
  const t = i18n.t.logDetail;
  const actor = entry.user ?? t.via[entry.via] ?? t.someone;
  const describe = { create: t.created, import: t.imported, delete: t.deletedBy, restore: t.restoredBy, update: null }[entry.op];
  if (describe) return [{ text: describe(actor) }];
  return Object.entries(entry.changes).map(([field, [before, after]]) => ({
    ...(typeof before === 'string' && typeof after === 'string' && TEXT_FIELDS.includes(field) && { diff: wordDiff(before, after) }),
    text: t.changed(actor, phrase(field, before, after)),
  }));
}

function phrase(field: string, before: unknown, after: unknown): string {
  const t = i18n.t.logDetail;
  const name = t.field[field] ?? field;
  const from = valueText(field, before);
  const to = valueText(field, after);
  if (after === null) return t.removed(name);
  if (before === null) return t.set(name, to);
  if (TEXT_FIELDS.includes(field) || field === 'attributes') return t.edited(name);
  if (field === 'severity') {
    const isRaised = SEVERITIES.indexOf(after as string) > SEVERITIES.indexOf(before as string);
    return (isRaised ? t.raised : t.lowered)(name, from, to);
  }
  return t.replaced(name, from, to);
}

function valueText(field: string, value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  if (TIME_FIELDS.includes(field)) return i18n.formats.dateTime(value, serverTime.now());
  const label = valueLabel(field, value);
  return ['severity', 'status'].includes(field) ? label.toLowerCase() : label;
}

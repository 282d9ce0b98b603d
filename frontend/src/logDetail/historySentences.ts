import { serverTime } from '../api/serverTime.svelte';
import type { Schemas } from '../api/client';
import type { Attachment } from '../files/attachments';
import { valueLabel } from '../logs/labels';
import { i18n } from '../i18n/i18n.svelte';
import { wordDiff, type DiffPart } from './wordDiff';

export type HistoryEntry = Schemas['HistoryPart'] & {
  /** Null, for up to a second, if the entry has no number yet. */
  seq: number | null;
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

type File = Pick<Attachment, 'id' | 'name'>;

const TEXT_FIELDS = ['comment', 'cause', 'action'];
const TIME_FIELDS = ['started_at', 'ended_at', 'down_from', 'down_to'];
const SEVERITIES = ['info', 'minor', 'major', 'critical'];

/** Whether the changes of an entry can be turned back in the fields of the record. Files cannot. */
export function canUndo({ op, changes }: HistoryEntry): boolean {
  return op === 'update' && !('attachments' in changes);
}

/** Describe an entry of the history, with one sentence for each changed field. */
export function sentences(entry: HistoryEntry): Sentence[] {
  const t = i18n.t.logDetail;
  const actor = entry.user ?? t.via[entry.via] ?? t.someone;
  const describe = { create: t.created, import: t.imported, delete: t.deletedBy, restore: t.restoredBy, update: null }[entry.op];
  if (describe) return [{ text: describe(actor) }];
  // The number of files follows from the files.
  const changes = Object.entries(entry.changes).filter(([field]) => field !== 'attachment_count');
  return changes.flatMap(([field, [before, after]]) => (field === 'attachments' ? fileSentences(actor, before, after) : [{
    ...(typeof before === 'string' && typeof after === 'string' && TEXT_FIELDS.includes(field) && { diff: wordDiff(before, after) }),
    text: t.changed(actor, phrase(field, before, after)),
  }]));
}

/** Describe which files were added, removed and renamed. */
function fileSentences(actor: string, before: unknown, after: unknown): Sentence[] {
  const t = i18n.t.logDetail;
  const [old, now] = [before, after].map((files) => (files ?? []) as File[]) as [File[], File[]];
  const isIn = (files: File[], { id }: File): boolean => files.some((one) => one.id === id);
  const phrases = [
    ...now.filter((file) => !isIn(old, file)).map(({ name }) => t.fileAdded(name)),
    ...old.filter((file) => !isIn(now, file)).map(({ name }) => t.fileRemoved(name)),
    ...now.flatMap(({ id, name }) => old.filter((file) => file.id === id && file.name !== name).map((file) => t.fileRenamed(file.name, name))),
  ];
  return phrases.map((text) => ({ text: t.changed(actor, text) }));
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
  return ['severity', 'status', 'down_kind'].includes(field) ? label.toLowerCase() : label;
}

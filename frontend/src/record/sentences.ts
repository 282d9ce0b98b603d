import type { Schemas } from '../api/client';
import { valueLabel } from '../logs/labels';
import { tongue } from '../words/language.svelte';
import { diff, type Piece } from './diff';

export type Entry = Schemas['HistoryPart'] & {
  seq: number;
  at: string;
  user: string | null;
  via: string;
  op: 'create' | 'update' | 'delete' | 'restore' | 'rename' | 'import';
  changes: Record<string, [unknown, unknown]>;
  note: string | null;
};

export interface Sentence {
  text: string;
  /** What became of a long text. */
  pieces?: Piece[];
}

const TEXTS = ['comment', 'cause', 'action'];
const TIMES = ['started_at', 'ended_at', 'down_from', 'down_to'];
const SEVERITIES = ['info', 'minor', 'major', 'critical'];

/** What an entry of the history says, one sentence for each field that changed. */
export function sentences(entry: Entry): Sentence[] {
  const words = tongue.t.record;
  const who = entry.user ?? words.via[entry.via] ?? words.nobody;
  const whole = { create: words.wrote, import: words.imported, delete: words.deleted, restore: words.brought }[entry.op as string];
  if (whole) return [{ text: whole(who) }];
  return Object.entries(entry.changes).map(([field, [before, after]]) => ({
    ...(typeof before === 'string' && typeof after === 'string' && TEXTS.includes(field) && { pieces: diff(before, after) }),
    text: words.changed(who, phrase(field, before, after)),
  }));
}

function phrase(field: string, before: unknown, after: unknown): string {
  const words = tongue.t.record;
  const name = words.field[field] ?? field;
  const from = shown(field, before);
  const to = shown(field, after);
  if (after === null) return words.removed(name);
  if (before === null) return words.gave(name, to);
  if (TEXTS.includes(field) || field === 'attributes') return words.rewrote(name);
  if (field === 'severity') {
    const rises = SEVERITIES.indexOf(after as string) > SEVERITIES.indexOf(before as string);
    return (rises ? words.raised : words.lowered)(name, from, to);
  }
  return words.set(name, from, to);
}

function shown(field: string, value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  if (TIMES.includes(field)) return tongue.formats.moment(value, Date.now());
  const label = valueLabel(field, value);
  return ['severity', 'status'].includes(field) ? label.toLowerCase() : label;
}

import { fold } from '../../logs/highlight';

/** A rule of a mapping. A text stands for `{ column: text }`. Words that the form does not know stay as they are. */
export interface RuleWords {
  column?: string;
  columns?: string[];
  const?: string | number | boolean | null;
  template?: string;
  first_of?: string[];
  start_plus?: string;
  map?: Record<string, unknown>;
  default?: unknown;
  dates?: string[];
  durations?: string[];
  as?: string;
  bad?: string;
  [word: string]: unknown;
}
export type Rule = string | RuleWords;
export type Imported = 'logs' | 'machines' | 'log_types' | 'users';

/** How a table becomes records: the JSON that the service reads. */
export interface Mapping {
  name: string;
  resource?: Imported;
  read?: Record<string, unknown>;
  zone?: string | null;
  key?: string[];
  fields: Record<string, Rule>;
  machine_fields?: Record<string, Rule>;
  [word: string]: unknown;
}

/**
 * What a column becomes, as the value of a select: a field such as `fields.machine` or `machine_fields.sector`, or one of the
 * words below. `OTHER` is a rule that the form cannot express.
 */
export type Target = string;
export const SKIP: Target = '';
export const ATTRIBUTE: Target = 'attribute';
export const START_TIME: Target = 'start-time';
export const DURATION: Target = 'duration';
export const OTHER: Target = 'other';

const ATTRIBUTE_PREFIX = 'attributes.';
const DATE_FIELDS = ['started_at', 'down_from', 'down_to'];
/** The fields whose values are few, so that each can be given a meaning. */
const VALUE_FIELDS = ['machine', 'type', 'severity', 'status', 'user', 'role', 'sector'];
export const FIELDS: Record<Imported, readonly string[]> = {
  logs: ['machine', 'started_at', 'type', 'severity', 'status', 'comment', 'cause', 'action', 'project', 'user', 'down_from', 'down_to'],
  machines: ['name', 'sector', 'usage', 'manufacturer', 'model', 'serial_number', 'year_of_acquisition', 'in_service', 'comment'],
  log_types: ['code', 'label', 'counts_as_failure', 'active'],
  users: ['trigram', 'first_name', 'last_name', 'role', 'active'],
};
const MACHINE_FIELDS = FIELDS.machines.filter((field) => field !== 'name');
const REQUIRED: Record<Imported, readonly string[]> = { logs: ['machine', 'started_at', 'type'], machines: ['name'], log_types: ['code'], users: ['trigram'] };
/** The formats of dates by what the user chooses: the other formats cannot be mistaken for it. */
export const DATE_ORDERS: Record<string, readonly string[]> = {
  dmy: ['dmy', 'iso', 'ymd'],
  mdy: ['mdy', 'iso', 'ymd'],
  ymd: ['iso', 'ymd'],
  excel: ['excel', 'iso'],
};
export const DURATION_UNITS: Record<string, readonly string[]> = { h: ['H:M', 'HhM', 'H heures M min', 'h'], min: ['min'] };

/** Where a mapping uses a column. */
interface Use {
  place: 'fields' | 'machine_fields';
  field: string;
  target: Target;
}

export function resourceOf(mapping: Mapping): Imported {
  return mapping.resource ?? 'logs';
}

export function ruleOf(rule: Rule | undefined): RuleWords {
  return typeof rule === 'string' ? { column: rule } : (rule ?? {});
}

/** Whether a mapping means this column by a name: case and accents do not matter, and `#3` is the third column. */
export function isColumn(name: string, column: string, position: number): boolean {
  return fold(name.trim()) === fold(column.trim()) || name.trim() === `#${position + 1}`;
}

/** Where the mapping uses a column, in the order of the mapping. */
export function usesOf(mapping: Mapping, column: string, position: number): Use[] {
  const isThis = (name: string | undefined) => name !== undefined && isColumn(name, column, position);
  return (['fields', 'machine_fields'] as const).flatMap((place) =>
    Object.entries(mapping[place] ?? {}).flatMap(([field, rule]) => {
      const target = targetOf(place, field, ruleOf(rule), isThis);
      return target === null ? [] : [{ place, field, target }];
    }),
  );
}

function targetOf(place: Use['place'], field: string, rule: RuleWords, isThis: (name: string | undefined) => boolean): Target | null {
  const own = place === 'fields' && field.startsWith(ATTRIBUTE_PREFIX) ? ATTRIBUTE : `${place}.${field}`;
  if (isThis(rule.column)) return own;
  if (rule.columns?.some(isThis)) {
    const [date, time, ...more] = rule.columns;
    if (field !== 'started_at' || more.length) return OTHER;
    return isThis(date) ? own : isThis(time) ? START_TIME : OTHER;
  }
  if (isThis(rule.start_plus)) return field === 'down_to' ? DURATION : OTHER;
  if (rule.first_of?.some(isThis)) return OTHER;
  return rule.template?.match(/\{[^{}]+\}/g)?.some((part) => isThis(part.slice(1, -1).replace(/:0?\d*d$/, ''))) ? OTHER : null;
}

/** What a column becomes, as its select shows it. */
export function targetOfColumn(mapping: Mapping, column: string, position: number): Target {
  return usesOf(mapping, column, position)[0]?.target ?? SKIP;
}

/** The targets that a column of this resource can have. */
export function targetsOf(resource: Imported): Target[] {
  const fields = FIELDS[resource].map((field) => `fields.${field}`);
  if (resource === 'machines') return [...fields, ATTRIBUTE];
  if (resource !== 'logs') return fields;
  const place = fields.indexOf('fields.started_at') + 1;
  return [...fields.slice(0, place), START_TIME, ...fields.slice(place), DURATION, ATTRIBUTE, ...MACHINE_FIELDS.map((field) => `machine_fields.${field}`)];
}

/** The required fields that have no rule. */
export function missingFields(mapping: Mapping): string[] {
  return REQUIRED[resourceOf(mapping)].filter((field) => !(field in mapping.fields));
}

/** The fields that no column of the table gives: constants, and rules whose columns are not there. */
export function fieldsWithoutColumn(mapping: Mapping, columns: readonly string[]): { place: Use['place']; field: string; rule: RuleWords }[] {
  const used = new Set(columns.flatMap((column, position) => usesOf(mapping, column, position).map(({ place, field }) => `${place}.${field}`)));
  return (['fields', 'machine_fields'] as const).flatMap((place) =>
    Object.entries(mapping[place] ?? {}).flatMap(([field, rule]) => (used.has(`${place}.${field}`) ? [] : [{ place, field, rule: ruleOf(rule) }])),
  );
}

/** Change what a column becomes. A field has one column, so another one that became it is left out. */
export function withTarget(mapping: Mapping, column: string, position: number, target: Target): Mapping {
  const before = targetOfColumn(mapping, column, position);
  if (before === target || target === OTHER) return mapping;
  const cleared = withoutFirstUse(mapping, column, position);
  if (target === SKIP) return cleared;
  if (target === START_TIME) {
    const rule = ruleOf(cleared.fields.started_at);
    const date = rule.column ?? rule.columns?.[0];
    if (date === undefined) return cleared;
    return withRule(cleared, 'fields', 'started_at', { ...omitSources(rule), columns: [date, column] });
  }
  if (target === DURATION) return withRule(cleared, 'fields', 'down_to', { start_plus: column, durations: [...DURATION_UNITS.h!], bad: 'null' });
  if (target === ATTRIBUTE) return withRule(cleared, 'fields', freeAttribute(cleared, column), column);
  const [place, field] = splitTarget(target);
  return withRule(cleared, place, field, newRule(cleared, place, field, column));
}

function splitTarget(target: Target): [Use['place'], string] {
  const dot = target.indexOf('.');
  return [target.slice(0, dot) as Use['place'], target.slice(dot + 1)];
}

function newRule(mapping: Mapping, place: Use['place'], field: string, column: string): Rule {
  if (place === 'machine_fields') return column;
  if (resourceOf(mapping) !== 'logs') return column;
  if (DATE_FIELDS.includes(field)) {
    const time = field === 'started_at' ? ruleOf(mapping.fields.started_at).columns?.[1] : undefined;
    const source = time === undefined ? { column } : { columns: [column, time] };
    return { ...source, dates: datesOf(mapping) };
  }
  if (field === 'type') return { column, as: 'code' };
  return field === 'user' ? { column, as: 'code' } : column;
}

/** The formats of dates that another field has: a table writes its dates in one way. */
function datesOf(mapping: Mapping): string[] {
  const found = DATE_FIELDS.map((field) => ruleOf(mapping.fields[field]).dates).find(Boolean);
  return [...(found ?? DATE_ORDERS.dmy!)];
}

/** A name of an attribute that no other column has. */
function freeAttribute(mapping: Mapping, column: string): string {
  const name = column.trim().replace(/\.|__+/g, '_').slice(0, 60) || '_';
  let field = ATTRIBUTE_PREFIX + name;
  for (let number = 2; field in mapping.fields; number += 1) field = `${ATTRIBUTE_PREFIX}${name} ${number}`;
  return field;
}

/** Take a column out of the first rule that uses it. Rules that the form cannot express go as a whole. */
function withoutFirstUse(mapping: Mapping, column: string, position: number): Mapping {
  const use = usesOf(mapping, column, position)[0];
  if (!use) return mapping;
  const rule = ruleOf(mapping[use.place]![use.field]);
  if (use.target === START_TIME) return withRule(mapping, 'fields', use.field, { ...omitSources(rule), column: rule.columns![0]! });
  return withRule(mapping, use.place, use.field, null);
}

function omitSources(rule: RuleWords): RuleWords {
  const { column: _column, columns: _columns, const: _const, template: _template, first_of: _firstOf, start_plus: _startPlus, ...rest } = rule;
  return rest;
}

/** Set the rule of a field at its place in the mapping; null removes it. */
export function withRule(mapping: Mapping, place: Use['place'], field: string, rule: Rule | null): Mapping {
  const { [field]: _former, ...others } = mapping[place] ?? {};
  if (rule === null) return { ...mapping, [place]: others };
  return { ...mapping, [place]: field in (mapping[place] ?? {}) ? { ...mapping[place], [field]: rule } : { ...others, [field]: rule } };
}

/** Change words of a rule. An undefined word is removed; a rule that says only its column becomes a text. */
export function withWords(mapping: Mapping, place: Use['place'], field: string, words: RuleWords): Mapping {
  const rule = Object.fromEntries(Object.entries({ ...ruleOf(mapping[place]?.[field]), ...words }).filter(([, value]) => value !== undefined)) as RuleWords;
  const isPlain = Object.keys(rule).length === 1 && rule.column !== undefined;
  return withRule(mapping, place, field, isPlain ? rule.column! : rule);
}

/** Rename an attribute, at its place. Returns the mapping unchanged if another column has that name. */
export function renameAttribute(mapping: Mapping, field: string, name: string): Mapping {
  const renamed = ATTRIBUTE_PREFIX + name;
  if (renamed === field || renamed in mapping.fields) return mapping;
  return { ...mapping, fields: Object.fromEntries(Object.entries(mapping.fields).map(([key, rule]) => [key === field ? renamed : key, rule])) };
}

export function attributeName(field: string): string {
  return field.slice(ATTRIBUTE_PREFIX.length);
}

export function isKey(mapping: Mapping, column: string, position: number): boolean {
  return (mapping.key ?? []).some((name) => isColumn(name, column, position));
}

export function withKey(mapping: Mapping, column: string, position: number, isChosen: boolean): Mapping {
  const others = (mapping.key ?? []).filter((name) => !isColumn(name, column, position));
  return { ...mapping, key: isChosen ? [...others, column] : others };
}

/** The order of day, month and year that formats of dates begin with; `as-is` if they are others. */
export function dateOrder(formats: readonly string[]): string {
  const has = (name: string) => formats.includes(name);
  if (formats.some((name) => name.includes('%')) || (has('dmy') && has('mdy'))) return 'as-is';
  return has('dmy') ? 'dmy' : has('mdy') ? 'mdy' : has('excel') ? 'excel' : 'ymd';
}

export function isDate(resource: Imported, { place, field }: Pick<Use, 'place' | 'field'>): boolean {
  return resource === 'logs' && place === 'fields' && DATE_FIELDS.includes(field);
}

export function hasFewValues(field: string): boolean {
  return VALUE_FIELDS.includes(field);
}

/** What a map makes of a text: case and accents do not matter. */
export function mapped(map: Record<string, unknown> | undefined, text: string): string {
  const found = Object.entries(map ?? {}).find(([key]) => fold(key.trim()) === fold(text.trim()));
  return found === undefined ? '' : String(found[1] ?? '');
}

/** A map in which a text becomes a value; without one the text is taken out. */
export function withMapped(map: Record<string, unknown> | undefined, text: string, value: string): Record<string, unknown> | undefined {
  const others = Object.entries(map ?? {}).filter(([key]) => fold(key.trim()) !== fold(text.trim()));
  const changed = value === '' ? others : [...others, [text, value] as const];
  return changed.length ? Object.fromEntries(changed) : undefined;
}

/** The field that an error of the service belongs to, such as `fields.machine` or `zone`, by its JSON pointer. */
export function placeOfPointer(pointer: string | undefined): string {
  const parts = (pointer ?? '').split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (parts[0] === 'mapping') parts.shift();
  return parts.slice(0, 2).join('.');
}

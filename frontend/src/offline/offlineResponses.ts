import { compareNaturally } from '../i18n/collation';
import { fold } from '../logs/highlight';

/** A record as a list or a single response has it. Only whole records have a version. */
export type ListItem = Record<string, unknown> & { version?: number };

interface ListResponse {
  items: ListItem[];
  next: null;
  previous: null;
  total: number;
  total_capped: false;
}

const KEYS: Record<string, string> = { logs: 'uuid', machines: 'name', 'log-types': 'code' };
const SEARCHED_FIELDS = ['machine', 'comment', 'cause', 'action', 'project', 'name', 'serial_number', 'sector'];
// These parameters change the form of the response, not which records it contains.
const FORM_PARAMETERS = new Set(['limit', 'sort', 'expand', 'count', 'fields', 'facets']);

/**
 * Build the response to a GET request from whole records of the same resource, the newest copies last. Returns null if the records
 * are not enough: the record is not among them, a filter is not implemented here, or the request is for statistics.
 */
export function responseFrom(items: readonly ListItem[], pathname: string, parameters: URLSearchParams): ListItem | ListResponse | null {
  const [resource = '', key, part] = pathname.slice(1).split('/');
  const keyField = KEYS[resource]!;
  const records = new Map(items.filter((item) => item.version !== undefined).map((item) => [item[keyField], item]));
  if (part !== undefined || parameters.has('cursor')) return null;
  if (key !== undefined) return records.get(decodeURIComponent(key)) ?? null;
  const filters = [...parameters].filter(([name]) => !FORM_PARAMETERS.has(name));
  const tests = filters.map(([name, value]) => testOf(name, value, parameters.getAll(name)));
  if (!records.size || tests.some((test) => test === null)) return null;
  const matches = [...records.values()].filter((record) => tests.every((test) => test!(record)));
  sort(matches, parameters.get('sort') ?? (resource === 'logs' ? '-started_at' : keyField));
  const limited = matches.slice(0, Number(parameters.get('limit') ?? 50));
  return { items: limited, next: null, previous: null, total: matches.length, total_capped: false };
}

function testOf(name: string, value: string, values: string[]): ((record: ListItem) => boolean) | null {
  const [field = '', operator = ''] = name.split('__');
  if (field.includes('.')) return null;
  const text = (record: ListItem): string => String(record[field] ?? '');
  if (name === 'q') return (record) => includesWords(record, value);
  if (name === 'q__contains') return (record) => values.every((part) => includesWords(record, part));
  if (operator === '') return (record) => values.includes(text(record));
  if (operator === 'isnull') return (record) => ((record[field] ?? null) === null) === (value === 'true');
  // Times of the API sort as text, and a day comes before the times of that day.
  if (operator === 'gte') return (record) => text(record) >= value;
  if (operator === 'lt') return (record) => text(record) !== '' && text(record) < value;
  return null;
}

function includesWords(record: ListItem, search: string): boolean {
  const text = fold(SEARCHED_FIELDS.map((field) => String(record[field] ?? '')).join(' '));
  // A word matches anywhere here, so the characters for phrases and prefixes do not matter.
  return fold(search.replace(/["*]/g, '')).split(/\s+/).every((word) => text.includes(word));
}

function sort(records: ListItem[], by: string): void {
  const field = by.replace(/^-/, '').split(',')[0]!;
  const direction = by.startsWith('-') ? -1 : 1;
  const text = (record: ListItem): string => String(record[field] ?? '');
  records.sort((one, other) => direction * compareNaturally(text(one), text(other)));
}

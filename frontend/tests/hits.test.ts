import { expect, test } from 'vitest';
import { mark } from '../src/logs/hits';

const marked = (text: string, query: string) =>
  mark(text, query)
    .map((part) => (part.hit ? `[${part.text}]` : part.text))
    .join('');

test.each([
  ['Échauffement de la broche', 'echauffement', '[Échauffement] de la broche'],
  ['E\u0301chauffement', 'échauffement', '[E\u0301chauffement]'],
  ['bucket tooth broken', 'tooth bucket', '[bucket] [tooth] broken'],
  ['bucket tooth, tooth bucket', '"bucket tooth"', '[bucket tooth], tooth bucket'],
  ['Gearbox and gears', 'gear*', '[Gearbox] and [gears]'],
  ['Gearbox and gear', 'gear', 'Gearbox and [gear]'],
  ['replaced pn 0042', 'PN-0042', 'replaced [pn 0042]'],
  ['spare part', '-spare part', 'spare [part]'],
  ['spare part', '', 'spare part'],
  ['a b a b a', '"a b a"', '[a b a][ b a]'],
  ['ÆØ straße', 'strasse', 'ÆØ [straße]'],
])('in %j the search %j finds %j', (text, query, expected) => expect(marked(text, query)).toBe(expected));

test('whatever is marked, the text stays whole', () => {
  for (const query of ['a', 'a*', '"a b"', '*', '"', '-a']) {
    expect(mark('a, b — A b.', query).map((part) => part.text).join('')).toBe('a, b — A b.');
  }
});

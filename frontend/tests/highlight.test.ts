import { expect, test } from 'vitest';
import { highlight } from '../src/logs/highlight';

const markMatches = (text: string, query: string) =>
  highlight(text, query)
    .map((part) => (part.isMatch ? `[${part.text}]` : part.text))
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
])('in %j, the search %j highlights %j', (text, query, expected) => expect(markMatches(text, query)).toBe(expected));

test('for any query, the joined parts are the text', () => {
  for (const query of ['a', 'a*', '"a b"', '*', '"', '-a']) {
    expect(highlight('a, b — A b.', query).map((part) => part.text).join('')).toBe('a, b — A b.');
  }
});

import { expect, test } from 'vitest';
import { diff } from '../src/record/diff';

const TEXTS = ['', 'Broche bruyante.', 'La broche est bruyante.', 'Broche bruyante, arrêt à 15 h', 'x '.repeat(700)];

test('what stays and what is gone is the former text, what stays and what is new the later one', () => {
  for (const before of TEXTS) {
    for (const after of TEXTS) {
      const pieces = diff(before, after);
      const joined = (kind: string) => pieces.filter((piece) => piece.kind === 'same' || piece.kind === kind).map((piece) => piece.text).join('');
      expect([joined('gone'), joined('new')]).toEqual([before, after]);
    }
  }
});

test('a word that is put in is all that is new', () => {
  expect(diff('Broche bruyante', 'Broche très bruyante').filter((piece) => piece.kind !== 'same')).toEqual([{ text: 'très ', kind: 'new' }]);
});

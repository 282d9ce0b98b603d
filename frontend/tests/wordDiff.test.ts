import { expect, test } from 'vitest';
import { wordDiff } from '../src/logDetail/wordDiff';

const TEXTS = ['', 'Broche bruyante.', 'La broche est bruyante.', 'Broche bruyante, arrêt à 15 h', 'x '.repeat(700)];

test('same and removed parts give the text before, same and added parts the text after', () => {
  for (const before of TEXTS) {
    for (const after of TEXTS) {
      const parts = wordDiff(before, after);
      const joinParts = (kind: string) => parts.filter((part) => part.kind === 'same' || part.kind === kind).map((part) => part.text).join('');
      expect([joinParts('removed'), joinParts('added')]).toEqual([before, after]);
    }
  }
});

test('an inserted word is the only added part', () => {
  expect(wordDiff('Broche bruyante', 'Broche très bruyante').filter((part) => part.kind !== 'same')).toEqual([{ text: 'très ', kind: 'added' }]);
});

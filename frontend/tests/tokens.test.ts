import { expect, test } from 'vitest';
import css from '../src/look/tokens.css?raw';

const tokens = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(([, name, light, dark]) => [name!, [light!, dark!]]),
);

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
}

const TEXTS = ['text', 'quiet', 'accent', 'danger', 'warning', 'ok'];
const GROUNDS = ['ground', 'surface', 'raised', 'hover', 'chosen'];
const PAIRS = [
  ...TEXTS.flatMap((text) => GROUNDS.map((ground) => [text, ground, 4.5] as const)),
  ['on-accent', 'accent', 4.5] as const,
  ['text', 'mark', 4.5] as const,
  // What shows where a field is.
  ...GROUNDS.slice(0, 3).map((ground) => ['edge', ground, 3] as const),
  // What bars say.
  ...GROUNDS.slice(0, 2).map((ground) => ['ink', ground, 3] as const),
];

test.each(PAIRS)('%s on %s can be read in both themes', (text, ground, least) => {
  for (const theme of [0, 1]) expect(contrast(tokens.get(text)![theme]!, tokens.get(ground)![theme]!)).toBeGreaterThanOrEqual(least);
});

import { expect, test } from 'vitest';
import css from '../src/styles/tokens.css?raw';

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

const TEXT_COLOURS = ['text', 'text-muted', 'accent', 'danger', 'warning', 'ok'];
const BACKGROUNDS = ['background', 'surface', 'raised', 'hover', 'selected'];
const PAIRS = [
  ...TEXT_COLOURS.flatMap((text) => BACKGROUNDS.map((background) => [text, background, 4.5] as const)),
  ['on-accent', 'accent', 4.5] as const,
  ['text', 'highlight', 4.5] as const,
  // The borders of form fields.
  ...BACKGROUNDS.slice(0, 3).map((background) => ['control-border', background, 3] as const),
  // The bars of charts.
  ...BACKGROUNDS.slice(0, 2).map((background) => ['chart', background, 3] as const),
];

test.each(PAIRS)('%s on %s has enough contrast in both themes', (text, background, minimum) => {
  for (const theme of [0, 1]) expect(contrast(tokens.get(text)![theme]!, tokens.get(background)![theme]!)).toBeGreaterThanOrEqual(minimum);
});

import { expect, test } from 'vitest';
import { Formats } from '../src/i18n/formats';

const NOW = Date.parse('2026-03-29T00:30:00Z');
const en = new Formats('en-GB', 'Europe/Paris');
const fr = new Formats('fr', 'Europe/Paris');

test.each([
  [0, '0 min', '0 min'],
  [45 * 60, '45 min', '45 min'],
  [130 * 60, '2 h 10', '2 h 10'],
  [3600, '1 h', '1 h'],
  [26 * 3600, '1 d 2 h', '1 j 2 h'],
  [-5, '0 min', '0 min'],
])('%d seconds are %s', (seconds, english, french) => {
  expect([en.duration(seconds), fr.duration(seconds)]).toEqual([english, french]);
});

test('a time is relative up to one day, then a date in the time zone of the site, with the year if it is another year', () => {
  expect(en.relative('2026-03-28T22:20:00Z', NOW)).toBe('2 h 10');
  expect(en.relative('2026-03-27T23:30:00Z', NOW)).toBe('28 Mar');
  expect(en.relative('2025-12-31T23:30:00Z', NOW)).toBe('1 Jan');
  expect(fr.relative('2025-12-31T22:30:00Z', NOW)).toBe('31 déc. 2025');
  // The clock of the console may be behind the service's.
  expect(en.relative('2026-03-29T00:31:00Z', NOW)).toBe('0 min');
  expect(en.relative('2026-03-30T12:00:00Z', NOW)).toBe('30 Mar');
});

test('times of day are in the time zone of the site', () => {
  expect(en.timeOfDay('2026-03-29T00:59:00Z')).toBe('01:59');
  expect(en.timeOfDay('2026-03-29T01:00:00Z')).toBe('03:00');
  expect(fr.dateTime('2026-03-29T01:00:00Z', NOW)).toBe('29 mars, 03:00');
});

test('English uses the singular for 1, French for less than 2', () => {
  expect([0, 1, 1.5, 2].map((count) => en.isSingular(count))).toEqual([false, true, false, false]);
  expect([0, 1, 1.5, 2].map((count) => fr.isSingular(count))).toEqual([true, true, true, false]);
});

test('month and weekday names are translated, and hours below 10 have one decimal', () => {
  expect([en.month('2026-11'), fr.month('2026-11')]).toEqual(['November 2026', 'novembre 2026']);
  expect([en.shortMonth('2026-11'), fr.shortMonth('2026-11')]).toEqual(['Nov 2026', 'nov. 2026']);
  expect([en.weekday('2026-11-24'), fr.weekday('2026-11-24')]).toEqual(['Tuesday', 'mardi']);
  expect([5400, 9.96 * 3600, 40.4 * 3600, 0].map((seconds) => fr.hours(seconds))).toEqual(['1,5', '10', '40', '0']);
});

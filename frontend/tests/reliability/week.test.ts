import { describe, expect, test } from 'vitest';
import { Formats } from '../../src/i18n/formats';
import { difference, figureText, isFailure } from '../../src/reliability/figures';
import { parseQuery } from '../../src/router/query';
import { comparisonOf, localText, withDays, withPreset, type Comparison } from '../../src/week/periods';

const NOW = '2026-11-27T14:05:33';

function windows(search: string, now = NOW): string[] {
  const { current, previous } = comparisonOf(parseQuery(search), now) as Comparison;
  return [current.from, current.to, previous.from, previous.to];
}

describe('a period is compared with the one before', () => {
  test.each([
    ['', ['2026-11-23', NOW, '2026-11-16', '2026-11-20T14:05:33']],
    ['?period=last-week', ['2026-11-16', '2026-11-22', '2026-11-09', '2026-11-15']],
    ['?period=this-month', ['2026-11-01', NOW, '2026-10-01', '2026-10-27T14:05:33']],
    ['?period=last-month', ['2026-10-01', '2026-10-31', '2026-09-01', '2026-09-30']],
    ['?period=this-year', ['2026-01-01', NOW, '2025-01-01', '2025-11-27T14:05:33']],
    ['?period=last-year', ['2025-01-01', '2025-12-31', '2024-01-01', '2024-12-31']],
    ['?from=2026-11-02&to=2026-11-04', ['2026-11-02', '2026-11-04', '2026-10-30', '2026-11-01']],
    ['?from=2026-11-26&to=2026-11-29', ['2026-11-26', NOW, '2026-11-22', '2026-11-23T14:05:33']],
    ['?from=2026-11-27', ['2026-11-27', NOW, '2026-11-26', '2026-11-26T14:05:33']],
    ['?period=nonsense', ['2026-11-23', NOW, '2026-11-16', '2026-11-20T14:05:33']],
    ['?from=2026-13-45&to=x', ['2026-11-23', NOW, '2026-11-16', '2026-11-20T14:05:33']],
  ])('%s', (search, expected) => {
    expect(windows(search)).toEqual(expected);
  });

  test('a month before that is too short is compared as a whole', () => {
    expect(windows('?period=this-month', '2026-03-31T08:00:00')).toEqual(['2026-03-01', '2026-03-31T08:00:00', '2026-02-01', '2026-02-28']);
    expect(windows('?period=this-year', '2024-02-29T08:00:00').slice(2)).toEqual(['2023-01-01', '2023-02-28']);
    expect(windows('?period=last-month', '2026-01-15T08:00:00')).toEqual(['2025-12-01', '2025-12-31', '2025-11-01', '2025-11-30']);
  });

  test('Monday and Sunday belong to the same week', () => {
    expect(windows('', '2026-11-23T00:00:00')[0]).toBe('2026-11-23');
    expect(windows('', '2026-11-29T23:59:59')).toEqual(['2026-11-23', '2026-11-29T23:59:59', '2026-11-16', '2026-11-22T23:59:59']);
  });

  test('days in the future or in the wrong order cannot be shown', () => {
    expect(comparisonOf(parseQuery('?from=2026-12-01&to=2026-12-02'), NOW)).toBe('notBegun');
    expect(comparisonOf(parseQuery('?from=2026-11-02&to=2026-11-01'), NOW)).toBe('wrongOrder');
  });
});

test('the choice is in the address, and this week needs none', () => {
  const query = parseQuery('?from=2026-11-02&to=2026-11-04&machine.sector=1A');
  expect(withPreset(query, 'this-week')).toEqual([['machine.sector', '1A']]);
  expect(withPreset(query, 'last-year')).toEqual([['machine.sector', '1A'], ['period', 'last-year']]);
  expect(withDays(parseQuery('?period=last-year'), 'a', 'b')).toEqual([['from', 'a'], ['to', 'b']]);
});

test('an instant is a local time of the site', () => {
  expect(localText(Date.parse('2026-11-23T23:30:05Z'), 'Europe/Paris')).toBe('2026-11-24T00:30:05');
});

test('a difference has a sign, and says whether it is for the worse', () => {
  const formats = new Formats('en-GB', 'Europe/Paris');
  const points = (text: string) => `${text} points`;
  expect(figureText(formats, 'availability', 0.9731)).toBe('97.3%');
  expect(figureText(formats, 'down_time', 45_000)).toBe('13 h');
  expect(difference(formats, 'down_time', 7200, 3600, points)).toEqual({ text: '+1 h', isWorse: true });
  expect(difference(formats, 'failures', 1, 3, points)).toEqual({ text: '−2', isWorse: false });
  expect(difference(formats, 'mtbf', 3600, 7200, points)).toEqual({ text: '−1 h', isWorse: true });
  expect(difference(formats, 'availability', 0.98, 0.97, points)).toEqual({ text: '+1 points', isWorse: false });
  expect(difference(formats, 'availability', 0.98, 0.98001, points)?.text).toBeNull();
  expect(difference(formats, 'mtbf', null, 3, points)).toBeNull();
});

test('the kind of a stop decides before the type whether a log is a failure', () => {
  expect(isFailure({ status: 'done', down_kind: null }, true)).toBe(true);
  expect(isFailure({ status: 'done', down_kind: 'planned' }, true)).toBe(false);
  expect(isFailure({ status: 'done', down_kind: 'failure' }, false)).toBe(true);
  expect(isFailure({ status: 'cancelled', down_kind: 'failure' }, true)).toBe(false);
});

import { expect, test } from 'vitest';
import { all, parse, print, set, without } from '../src/router/query';
import { match, path } from '../src/router/routes';

test.each(['', '?q=0012', '?type=a&type=b&machine.sector=1A', '?started_at__gte=-7d&started_at__lte=2026-01-01', '?columns=type,user'])(
  'a query is printed as it was read: %s',
  (search) => expect(print(parse(search))).toBe(search),
);

test('a value keeps its signs, and a name all its values in their place', () => {
  const pairs = set(parse('?a=1&b=2&a=3&c=4'), 'a', 'x&y', 'é =');
  expect(all(parse(print(pairs)), 'a')).toEqual(['x&y', 'é =']);
  expect(pairs.map(([name]) => name)).toEqual(['a', 'a', 'b', 'c']);
  expect(print(without(pairs, 'a', 'b'))).toBe('?c=4');
});

test('an address leads to the place that writes it, whatever its parameter', () => {
  for (const uuid of ['b86a56ba-26f7-465c-a161-3d4722204a50', 'a b/c?', 'é%']) {
    expect(match(path('log', { uuid }))).toEqual({ place: 'log', parameters: { uuid } });
  }
  expect(match('/ui')).toEqual({ place: 'home', parameters: {} });
  expect(match('/ui/logs/')?.place).toBe('logs');
  expect(match('/ui/nowhere')).toBeNull();
  expect(match('/ui/logs/%E0%A4%A')).toEqual({ place: 'log', parameters: { uuid: '%E0%A4%A' } });
});

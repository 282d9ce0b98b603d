import { expect, test } from 'vitest';
import { getAll, parseQuery, formatQuery, setParam, omit } from '../src/router/query';
import { matchRoute, path } from '../src/router/routes';

test.each(['', '?q=0012', '?type=a&type=b&machine.sector=1A', '?started_at__gte=-7d&started_at__lte=2026-01-01', '?columns=type,user'])(
  'a query string survives parsing and formatting: %s',
  (search) => expect(formatQuery(parseQuery(search))).toBe(search),
);

test('special characters survive, and a repeated name keeps its values and their position', () => {
  const pairs = setParam(parseQuery('?a=1&b=2&a=3&c=4'), 'a', 'x&y', 'é =');
  expect(getAll(parseQuery(formatQuery(pairs)), 'a')).toEqual(['x&y', 'é =']);
  expect(pairs.map(([name]) => name)).toEqual(['a', 'a', 'b', 'c']);
  expect(formatQuery(omit(pairs, 'a', 'b'))).toBe('?c=4');
});

test('a path matches the route it was built from, with any text as parameter', () => {
  for (const uuid of ['b86a56ba-26f7-465c-a161-3d4722204a50', 'a b/c?', 'é%']) {
    expect(matchRoute(path('log', { uuid }))).toEqual({ route: 'log', parameters: { uuid } });
  }
  expect(matchRoute('/ui')).toEqual({ route: 'home', parameters: {} });
  expect(matchRoute('/ui/logs/')?.route).toBe('logs');
  expect(matchRoute('/ui/nowhere')).toBeNull();
  expect(matchRoute('/ui/logs/%E0%A4%A')).toEqual({ route: 'log', parameters: { uuid: '%E0%A4%A' } });
});

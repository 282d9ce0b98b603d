import { formatQuery, type QueryPair } from '../router/query';
import { path } from '../router/routes';
import type { FigureName } from './figures';
import type { Pareto, Window } from './requests';
import type { Ranked } from '../charts/ranking';

const IS_NOT_CANCELLED: QueryPair = ['status__ne', 'cancelled'];
/** Logs that are failures by their type. The few that are failures only by their kind of stop are not in this list. */
const IS_FAILURE: QueryPair[] = [['type.counts_as_failure', 'true'], ['down_kind__nin', 'planned,external'], IS_NOT_CANCELLED];

/** The address of the list of logs with these filters. */
export const logsWith = (...pairs: QueryPair[]): string => path('logs') + formatQuery(pairs);
/** The last day of a window. Nothing has happened yet after its time of day. */
const lastDay = ({ to }: Window): string => to.slice(0, 10);

export const startedIn = (window: Window): QueryPair[] => [['started_at__gte', window.from], ['started_at__lte', lastDay(window)]];
export const stoppedIn = (window: Window): QueryPair[] => [['down_from__lte', lastDay(window)], ['down_to__gte', window.from], IS_NOT_CANCELLED];

/** The addresses of the lists of logs behind the figures of a window. The scope is a machine, a sector, or empty. */
export const logsIn = (scope: readonly QueryPair[], window: Window): string => logsWith(...scope, ...startedIn(window));
export const failuresIn = (scope: readonly QueryPair[], window: Window): string => logsWith(...scope, ...IS_FAILURE, ...startedIn(window));
/** The stops that have ended and touch the window. */
export const stopsIn = (scope: readonly QueryPair[], window: Window): string => logsWith(...scope, ...stoppedIn(window));
/** The stops that began before the window's end and have not ended. */
export const openStopsIn = (scope: readonly QueryPair[], window: Window): string =>
  logsWith(...scope, ['down_from__lte', lastDay(window)], ['down_from__isnull', 'false'], ['down_to__isnull', 'true'], IS_NOT_CANCELLED);
const repairsIn = (scope: readonly QueryPair[], window: Window): string =>
  logsWith(...scope, ...IS_FAILURE, ['down_to__gte', window.from], ['down_to__lte', lastDay(window)]);

export function figureLinks(scope: readonly QueryPair[], window: Window): Partial<Record<FigureName, string>> {
  const failures = failuresIn(scope, window);
  return { down_time: stopsIn(scope, window), failures, mtbf: failures, mttr: repairsIn(scope, window) };
}

/** The causes of a Pareto analysis as rows of its chart, each with the logs behind it. */
export function causeRanks({ groups }: Pareto, noCause: string, address: (cause: QueryPair[]) => string): Ranked[] {
  return groups.map(({ value, spellings, weight, cumulative }) => {
    const cause: QueryPair[] = value === null ? [['cause__isnull', 'true']] : spellings.map((text) => ['cause', text]);
    return { label: value === null ? noCause : String(value), value: weight, cumulativeShare: cumulative, href: address(cause) };
  });
}

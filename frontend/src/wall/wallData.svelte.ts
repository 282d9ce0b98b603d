import { network } from '../api/network.svelte';
import { serverTime } from '../api/serverTime.svelte';
import { api, data } from '../api/client';
import { ApiError } from '../api/error';
import { addDays, mondayOf } from '../charts/calendar';
import type { Row } from '../logs/requests';
import { readOngoingStops, readStats, type OngoingStop, type StatsGroup } from '../machines/requests';
import { formatQuery, type QueryPair } from '../router/query';

// After this time without a response, the update counts as failed.
const TIMEOUT_MS = 20_000;

/** The data of the wall display, and the time of its last update. */
export class WallData {
  stops = $state.raw<OngoingStop[]>([]);
  openLogs = $state.raw<Row[]>([]);
  openTotal = $state(0);
  latestLogs = $state.raw<Row[]>([]);
  logStatsByDay = $state.raw<StatsGroup[]>([]);
  downtimeByDay = $state.raw<StatsGroup[]>([]);
  downtimeByMachine = $state.raw<StatsGroup[]>([]);
  updatedAt = $state<number | null>(null);

  /** Load all data. If a request fails, the old data stays and `updatedAt` tells its age. */
  async load(today: string): Promise<void> {
    const lastMonday = addDays(mondayOf(today), -7);
    try {
      const responses = await withTimeout(
        Promise.all([
          readOngoingStops(),
          readLogs([['status', 'open'], ['status', 'in_progress'], ['sort', '-severity,-started_at'], ['count', 'capped'], ['limit', '5']]),
          readLogs([['limit', '6']]),
          readStats('day', 'count,failures', [['started_at__gte', lastMonday]]),
          readStats('day', 'downtime', [['down_from__gte', '-90d']]),
          readStats('machine', 'downtime', [['down_from__gte', addDays(today, -30)]]),
        ]),
      );
      const [stops, open, latest] = responses;
      // If a machine has several ongoing stops, show the longest.
      this.stops = stops.filter((stop, index) => stops.findIndex(({ machine }) => machine === stop.machine) === index);
      [this.openLogs, this.openTotal] = [open.items, open.total ?? 0];
      this.latestLogs = latest.items;
      [, , , this.logStatsByDay, this.downtimeByDay, this.downtimeByMachine] = responses;
      // Copies from before the network was lost are not news.
      if (!network.isOffline) this.updatedAt = serverTime.now();
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
    }
  }
}

async function readLogs(pairs: QueryPair[]): Promise<{ items: Row[]; total: number | null }> {
  const query = formatQuery(pairs).slice(1);
  return (await data(api.GET('/logs', { querySerializer: () => query }))) as never;
}

function withTimeout<T>(work: Promise<T>): Promise<T> {
  const timeout = new Promise<never>((_, reject) => setTimeout(() => reject(new ApiError({ code: 'offline', status: 0 })), TIMEOUT_MS));
  return Promise.race([work, timeout]);
}

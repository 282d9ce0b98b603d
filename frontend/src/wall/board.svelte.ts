import { api, data } from '../api/client';
import { Failure } from '../api/failure';
import { addDays, monday } from '../charts/calendar';
import type { Row } from '../logs/requests';
import { readStats, readStops, type Group, type Stop } from '../machines/requests';
import { print, type Pair } from '../router/query';

// A server that does not answer within this has not been heard.
const PATIENCE_MS = 20_000;

/** What the wall shows, read together, and when the server was last heard. */
export class Board {
  stops = $state.raw<Stop[]>([]);
  open = $state.raw<Row[]>([]);
  openTotal = $state(0);
  latest = $state.raw<Row[]>([]);
  days = $state.raw<Group[]>([]);
  stood = $state.raw<Group[]>([]);
  machines = $state.raw<Group[]>([]);
  heard = $state<number | null>(null);

  /** Read all anew. Without an answer what is there stays, and `heard` tells how old it is. */
  async load(today: string): Promise<void> {
    const since = addDays(monday(today), -7);
    try {
      const found = await inTime(
        Promise.all([
          readStops(),
          readLogs([['status', 'open'], ['status', 'in_progress'], ['sort', '-severity,-started_at'], ['count', 'capped'], ['limit', '5']]),
          readLogs([['limit', '6']]),
          readStats('day', 'count,failures', [['started_at__gte', since]]),
          readStats('day', 'downtime', [['down_from__gte', '-90d']]),
          readStats('machine', 'downtime', [['down_from__gte', addDays(today, -30)]]),
        ]),
      );
      const [stops, open, latest] = found;
      // Of several stops of one machine, the one that lasts longest counts.
      this.stops = stops.filter((stop, index) => stops.findIndex(({ machine }) => machine === stop.machine) === index);
      [this.open, this.openTotal] = [open.items, open.total ?? 0];
      this.latest = latest.items;
      [, , , this.days, this.stood, this.machines] = found;
      this.heard = Date.now();
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
    }
  }
}

async function readLogs(pairs: Pair[]): Promise<{ items: Row[]; total: number | null }> {
  const query = print(pairs).slice(1);
  return (await data(api.GET('/logs', { querySerializer: () => query }))) as never;
}

function inTime<T>(work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, refuse) => setTimeout(() => refuse(new Failure({ code: 'offline', status: 0 })), PATIENCE_MS));
  return Promise.race([work, late]);
}

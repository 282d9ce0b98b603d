import { asApiError, type ApiError } from '../api/error';
import { serverTime } from '../api/serverTime.svelte';
import { site } from '../api/site.svelte';
import { localTime } from '../charts/calendar';
import { readCounted, readOngoingStops, readStats, type OngoingStop, type OpenLog } from '../machines/requests';
import type { Figures } from '../reliability/figures';
import { startedIn, stoppedIn } from '../reliability/links';
import { readCauses, readReliability, windowPairs, type Pareto } from '../reliability/requests';
import type { QueryPair } from '../router/query';
import type { Comparison } from './periods';

export interface MachineFigures {
  machine: string;
  figures: Figures;
  before: Figures | undefined;
  /** `ended`: how many stops within the period have ended. `open`: how many that began by its end have not. */
  ended: number;
  open: number;
}

export interface Week {
  comparison: Comparison;
  scope: readonly QueryPair[];
  definition: Record<string, string>;
  plant: Figures;
  plantBefore: Figures;
  /** Whether the site, or the sector, has any machine. */
  hasMachines: boolean;
  /** The machines that were stopped or failed in one of the periods, the most stopped first. */
  machines: MachineFigures[];
  downtimeCauses: Pareto;
  failureCauses: Pareto;
  logs: Counted<unknown>;
  openLogs: Counted<OpenLog>;
  ongoing: readonly OngoingStop[];
  /** How many of the ongoing stops began by the end of the period. */
  open: number;
  readAt: number;
}

type Counted<T> = Awaited<ReturnType<typeof readCounted<T>>>;

const MAX_CAUSES = 8;
const MAX_OPEN = '12';
const IS_OPEN: QueryPair[] = [['status', 'open'], ['status', 'in_progress']];

/** The data of the page. If a request fails, the page keeps the data that it has. */
export class WeekData {
  week = $state.raw<Week | null>(null);
  error = $state.raw<ApiError | null>(null);
  #requested = 0;

  async load(comparison: Comparison, scope: readonly QueryPair[]): Promise<void> {
    const request = (this.#requested += 1);
    try {
      const week = await readWeek(comparison, scope);
      if (request === this.#requested) [this.week, this.error] = [week, null];
    } catch (thrown) {
      if (request === this.#requested) this.error = asApiError(thrown);
    }
  }
}

async function readWeek(comparison: Comparison, scope: readonly QueryPair[]): Promise<Week> {
  const { current, previous } = comparison;
  const [now, before] = [[...scope, ...windowPairs(current)], [...scope, ...windowPairs(previous)]];
  const byMachine: QueryPair = ['group_by', 'machine'];
  const [machines, machinesBefore, plant, plantBefore, downtimeCauses, failureCauses, ended, logs, openLogs, ongoing] = await Promise.all([
    readReliability([byMachine, ...now]),
    readReliability([byMachine, ...before]),
    readReliability(now),
    readReliability(before),
    readCauses('downtime', MAX_CAUSES, now),
    readCauses('failures', MAX_CAUSES, now),
    readStats('machine', 'count', [...scope, ...stoppedIn(current)]),
    readCounted('uuid', [...scope, ...startedIn(current), ['limit', '1']]),
    readCounted<OpenLog>('uuid,machine,comment,type,severity,started_at', [...scope, ...IS_OPEN, ['sort', 'started_at'], ['limit', MAX_OPEN]]),
    readOngoingStops(...scope, ['status__ne', 'cancelled']),
  ]);
  const figuresBefore = new Map(machinesBefore.groups.map((group) => [group.machine, group]));
  const endedStops = new Map(ended.map(({ machine, count }) => [machine, count]));
  const openIn = ongoing.filter(({ down_from }) => localTime(Date.parse(down_from!), site.timezone).day <= comparison.last);
  const rows = machines.groups.map((figures) => ({
    machine: figures.machine!,
    figures,
    before: figuresBefore.get(figures.machine),
    ended: endedStops.get(figures.machine) ?? 0,
    open: openIn.filter(({ machine }) => machine === figures.machine).length,
  }));
  return {
    ...{ comparison, scope, downtimeCauses, failureCauses, logs, openLogs, ongoing },
    open: openIn.length,
    definition: plant.definition,
    plant: plant.groups[0]!,
    plantBefore: plantBefore.groups[0]!,
    hasMachines: rows.length > 0,
    machines: ranked(rows),
    readAt: serverTime.now(),
  };
}

/** Leave out the machines without stops and failures; the most stopped come first. */
export function ranked(rows: readonly MachineFigures[]): MachineFigures[] {
  const sum = (figures: Figures | undefined): number => (figures?.down_time ?? 0) + (figures?.failures ?? 0);
  return rows
    .filter(({ figures, before }) => sum(figures) + sum(before) > 0)
    .sort((a, b) => b.figures.down_time! - a.figures.down_time! || b.figures.failures! - a.figures.failures! || (a.machine < b.machine ? -1 : 1));
}

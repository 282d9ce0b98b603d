import { api, data } from '../api/client';
import { path } from '../router/routes';
import { firstStepsState } from './firstStepsState.svelte';

export const STEPS = ['machine', 'logs', 'team', 'labels'] as const;
export type Step = (typeof STEPS)[number];

/** Where each step is done in the console. */
export const ADDRESSES: Record<Step, string> = {
  machine: `${path('machines')}?add`,
  logs: path('imports'),
  team: path('newUser'),
  labels: path('labels'),
};
/** What to type on the server to preview the import of a folder of the legacy tool. */
export const SYNC_COMMAND = 'mm sync /path/to/folder --dry-run';

/** The first steps on a new site, and which of them are done. */
class FirstSteps {
  #exists = $state.raw<Record<'machine' | 'logs' | 'team', boolean> | null>(null);
  done = $derived<Record<Step, boolean> | null>(this.#exists && { ...this.#exists, labels: firstStepsState.labelsPrinted });
  count = $derived(STEPS.filter((step) => this.done?.[step]).length);

  async load(): Promise<void> {
    const [machines, logs, users] = await Promise.all([has('/machines', 'name', 1), has('/logs', 'uuid', 1), has('/users', 'trigram', 2)]);
    this.#exists = { machine: machines, logs, team: users };
    // The user may have hidden the list meanwhile.
    if (firstStepsState.visibility === 'closed') return;
    // On a site that was in use before this browser came, there is nothing to begin with.
    const isInUse = machines && logs && users && firstStepsState.visibility === null;
    firstStepsState.setVisibility(isInUse || this.count === STEPS.length ? 'closed' : 'open');
  }
}

async function has(resource: '/machines' | '/logs' | '/users', field: string, count: number): Promise<boolean> {
  const page = await data(api.GET(resource, { querySerializer: () => `fields=${field}&limit=${count}` }));
  return (page as { items: unknown[] }).items.length >= count;
}

export const firstSteps = new FirstSteps();

import { api, data } from '../api/client';
import { ApiError } from '../api/error';
import { readLocal, removeLocal, writeLocal } from '../device/localStorage';
import { network } from '../api/network.svelte';
import { serverTime } from '../api/serverTime.svelte';
import { session } from '../api/session.svelte';
import { searchMachines } from '../machines/machineSearch';
import { deleteCached, readCached, writeCached } from './database';
import { fold } from '../logs/highlight';

export interface CachedMachine {
  id: number;
  name: string;
  /** Absent in lists that an older version of the console stored. */
  serial_number?: string | null;
}

// Browsers hold the recent machines under this key.
const RECENT_KEY = 'mm.recent';
const MAX_RECENT = 6;
const MAX_PAGES = 10;
// How many suggestions one request to the service reads, on a site with more machines than the cache holds.
const MAX_SUGGESTIONS = 200;
const OFFLINE_READ_INTERVAL_MS = 15 * 60_000;

/** The machines and users that the log form offers. They are stored in the browser, so the form works without network. */
class OfflineCache {
  machines = $state.raw<readonly CachedMachine[]>([]);
  users = $state.raw<readonly string[]>([]);
  recentMachines = $state.raw<readonly string[]>(readLocal<string[]>(RECENT_KEY) ?? []);
  /** Whether `machines` has all machines. If the site has more than `MAX_PAGES` pages of them, searches ask the service. */
  #hasAllMachines = false;
  #refreshing: Promise<void> | null = null;
  #readForOfflineAt = 0;

  /** Load the stored lists, then read the current ones from the service. */
  refresh(): Promise<void> {
    return (this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null)));
  }

  /** Find the machine of a label. The service knows its present name; without network, the stored list has the last known one. */
  async findMachineById(id: number): Promise<CachedMachine | undefined> {
    try {
      const page = await data(api.GET('/machines', { querySerializer: () => `id=${id}&fields=id,name` }));
      // A response that was made from copies does not tell whether other machines exist.
      if (page.items.length || !network.isOffline) return page.items[0] as unknown as CachedMachine | undefined;
    } catch (thrown) {
      if (!(thrown instanceof ApiError) || !thrown.isTransient) throw thrown;
    }
    const machines = this.machines.length ? this.machines : ((await readCached<CachedMachine[]>('machines')) ?? []);
    return machines.find((machine) => machine.id === id);
  }

  /** The names of the machines that match all typed words, in their name or serial number. */
  async findMachines(typed: string): Promise<string[]> {
    if (this.#hasAllMachines || network.isOffline) {
      const found = searchMachines(this.machines, typed);
      if (found.length || !this.#refreshing) return found;
      // A machine that was added a moment ago may be in the list that is being read.
      await this.#refreshing;
      return searchMachines(this.machines, typed);
    }
    try {
      const prefixes = (typed.match(/[\p{L}\p{N}]+/gu) ?? []).map((word) => `${word}*`).join(' ');
      const query = new URLSearchParams([['fields', 'name,serial_number'], ['limit', String(MAX_SUGGESTIONS)], ...(prefixes ? [['q', prefixes]] : [])]).toString();
      const page = await data(api.GET('/machines', { querySerializer: () => query }));
      return searchMachines(page.items as unknown as CachedMachine[], typed);
    } catch (thrown) {
      // The service does not answer or refuses: search the stored list.
      if (!(thrown instanceof ApiError)) throw thrown;
      return searchMachines(this.machines, typed);
    }
  }

  async findUsers(typed: string): Promise<string[]> {
    return findContaining(this.users, typed);
  }

  /** Put a machine first in the list of recent machines. */
  addRecentMachine(machine: string): void {
    this.recentMachines = [machine, ...this.recentMachines.filter((name) => name !== machine)].slice(0, MAX_RECENT);
    writeLocal(RECENT_KEY, this.recentMachines);
  }

  /** Stop offering a machine that is gone. */
  forgetMachine(machine: string): void {
    this.machines = this.machines.filter(({ name }) => name !== machine);
    this.recentMachines = this.recentMachines.filter((name) => name !== machine);
    writeLocal(RECENT_KEY, this.recentMachines);
    void writeCached('machines', $state.snapshot(this.machines));
  }

  /** Delete the lists: the user has signed out. */
  async clear(): Promise<void> {
    this.machines = [];
    this.users = [];
    this.recentMachines = [];
    this.#hasAllMachines = false;
    this.#readForOfflineAt = 0;
    removeLocal(RECENT_KEY);
    await deleteCached(['machines', 'users']);
  }

  async #refresh(): Promise<void> {
    this.machines = (await readCached<CachedMachine[]>('machines')) ?? this.machines;
    this.users = (await readCached<string[]>('users')) ?? this.users;
    try {
      await Promise.all([this.#readMachines(), this.#readUsers(), this.#readRecentMachines()]);
      await this.#readForOffline();
    } catch (thrown) {
      // The service does not answer: keep the stored lists.
      if (!(thrown instanceof ApiError)) throw thrown;
    }
  }

  /**
   * Read what a user needs without network: the last logs of the recent machines and of this user, and the state of all
   * machines. The API client keeps a copy of each response.
   */
  async #readForOffline(): Promise<void> {
    if (network.isOffline || serverTime.now() - this.#readForOfflineAt < OFFLINE_READ_INTERVAL_MS) return;
    this.#readForOfflineAt = serverTime.now();
    const logs = [
      ...this.recentMachines.map((machine) => `machine=${encodeURIComponent(machine)}&limit=20`),
      ...(session.user ? [`user=${encodeURIComponent(session.user.trigram)}&limit=50`] : []),
      'down_from__isnull=false&down_to__isnull=true&limit=200',
    ];
    for (const query of logs) await api.GET('/logs', { querySerializer: () => `${query}&expand=machine,user` });
    await api.GET('/machines', { querySerializer: () => 'limit=500&expand=activity' });
  }

  async #readMachines(): Promise<void> {
    const machines: CachedMachine[] = [];
    let cursor: string | null | undefined = '';
    for (let page = 0; page < MAX_PAGES && typeof cursor === 'string'; page += 1) {
      const query: string = `fields=id,name,serial_number&limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
      const response = await data(api.GET('/machines', { querySerializer: () => query }));
      machines.push(...(response.items as unknown as CachedMachine[]));
      cursor = response.next;
    }
    this.machines = machines;
    this.#hasAllMachines = !cursor;
    await writeCached('machines', machines);
  }

  async #readUsers(): Promise<void> {
    // Only supervisors can choose the author of a log.
    if (!session.hasRole('supervisor')) return;
    const query = 'fields=trigram&limit=500&active=true';
    const page = await data(api.GET('/users', { querySerializer: () => query }));
    this.users = page.items.map((user) => user.trigram as string);
    await writeCached('users', this.users);
  }

  /** On a new device, take the machines of the user's latest logs. */
  async #readRecentMachines(): Promise<void> {
    const user = session.user?.trigram;
    if (!user || this.recentMachines.length) return;
    const query = `user=${encodeURIComponent(user)}&fields=machine&limit=50`;
    const page = await data(api.GET('/logs', { querySerializer: () => query }));
    this.recentMachines = [...new Set(page.items.map((log) => log.machine as string))].slice(0, MAX_RECENT);
  }
}

/** The names that contain the typed text, ignoring case and accents. */
function findContaining(names: readonly string[], typed: string): string[] {
  const wanted = fold(typed.trim());
  return names.filter((name) => fold(name).includes(wanted));
}

export const offlineCache = new OfflineCache();
session.onSignOut(() => offlineCache.clear());

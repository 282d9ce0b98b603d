import { api, data } from '../api/client';
import { asFailure, Failure } from '../api/failure';
import { recall, remember } from '../api/memory';
import { network } from '../api/network.svelte';
import { session } from '../api/session.svelte';
import { readKnown, writeKnown } from './store';

export interface KnownMachine {
  id: number;
  name: string;
}

const RECENT = 'mm.recent';
const RECENTS = 6;
const PAGES = 10;
const FOUND = 8;

/** What one can choose from when there is no network: machines and users as they were last seen, and one's own recent machines. */
class Known {
  machines = $state.raw<readonly KnownMachine[]>([]);
  users = $state.raw<readonly string[]>([]);
  recent = $state.raw<readonly string[]>(recall<string[]>(RECENT) ?? []);
  /** Whether these are all machines; of very many the service is asked. */
  #all = false;
  #reading: Promise<void> | null = null;

  /** Know what was known before, then what there is now. */
  refresh(): Promise<void> {
    return (this.#reading ??= this.#refresh().finally(() => (this.#reading = null)));
  }

  async machineOf(id: number): Promise<KnownMachine | undefined> {
    await this.refresh();
    const found = this.machines.find((machine) => machine.id === id);
    if (found || network.away) return found;
    const page = await data(api.GET('/machines', { querySerializer: () => `id=${id}&fields=id,name` }));
    return page.items[0] as unknown as KnownMachine | undefined;
  }

  /** The names of machines that contain what was typed. */
  async find(typed: string): Promise<string[]> {
    if (this.#all || network.away) return containing(this.machines.map(({ name }) => name), typed);
    try {
      const query = new URLSearchParams([['fields', 'name'], ['limit', String(FOUND)], ...(typed ? [['name__contains', typed]] : [])]).toString();
      const page = await data(api.GET('/machines', { querySerializer: () => query }));
      return page.items.map((machine) => machine.name as string);
    } catch (thrown) {
      asFailure(thrown);
      return containing(this.machines.map(({ name }) => name), typed);
    }
  }

  async findUser(typed: string): Promise<string[]> {
    return containing(this.users, typed);
  }

  /** Remember a machine that was written about. */
  use(machine: string): void {
    this.recent = [machine, ...this.recent.filter((name) => name !== machine)].slice(0, RECENTS);
    remember(RECENT, this.recent);
  }

  async #refresh(): Promise<void> {
    this.machines = (await readKnown<KnownMachine[]>('machines')) ?? this.machines;
    this.users = (await readKnown<string[]>('users')) ?? this.users;
    try {
      await Promise.all([this.#readMachines(), this.#readUsers(), this.#readRecent()]);
    } catch (thrown) {
      // Without an answer what was known before has to do.
      if (!(thrown instanceof Failure)) throw thrown;
    }
  }

  async #readMachines(): Promise<void> {
    const found: KnownMachine[] = [];
    let cursor: string | null | undefined = '';
    for (let page = 0; page < PAGES && typeof cursor === 'string'; page += 1) {
      const query: string = `fields=id,name&limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
      const answer = await data(api.GET('/machines', { querySerializer: () => query }));
      found.push(...(answer.items as unknown as KnownMachine[]));
      cursor = answer.next;
    }
    this.machines = found;
    this.#all = !cursor;
    await writeKnown('machines', found);
  }

  async #readUsers(): Promise<void> {
    // Only who may write for another chooses an author.
    if (!session.may('supervisor')) return;
    const query = 'fields=trigram&limit=500&active=true';
    const page = await data(api.GET('/users', { querySerializer: () => query }));
    this.users = page.items.map((user) => user.trigram as string);
    await writeKnown('users', this.users);
  }

  /** On a new device: the machines of one's last logs. */
  async #readRecent(): Promise<void> {
    const me = session.user?.trigram;
    if (!me || this.recent.length) return;
    const query = `user=${encodeURIComponent(me)}&fields=machine&limit=50`;
    const page = await data(api.GET('/logs', { querySerializer: () => query }));
    this.recent = [...new Set(page.items.map((log) => log.machine as string))].slice(0, RECENTS);
  }
}

function containing(names: readonly string[], typed: string): string[] {
  const wanted = fold(typed.trim());
  return names.filter((name) => fold(name).includes(wanted)).slice(0, FOUND);
}

function fold(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}

export const known = new Known();

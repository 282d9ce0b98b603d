import { api } from '../api/client';
import { Failure, problemOf } from '../api/failure';
import { session } from '../api/session.svelte';
import { once } from './once';
import { judge, next, type LogBody, type Waiting } from './queue';
import { attempt, enqueue, readQueue, settle } from './store';
import { newUuid } from './uuid';

const PATIENCE_MS = 4_000;
const ANSWER_MS = 20_000;
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

export interface Outcome {
  uuid: string;
  state: 'sent' | 'waiting' | 'refused';
}

/** The new logs on their way: kept on this device until the service has them, sent in order, each once. */
class Outbox {
  items = $state.raw<readonly Waiting[]>([]);
  waiting = $derived(this.items.filter(({ refused }) => !refused));
  refused = $derived(this.items.filter(({ refused }) => refused));
  #round: Promise<void> = Promise.resolve();
  #tabs = new BroadcastChannel('mm-outbox');
  #pause = FIRST_PAUSE_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#tabs.onmessage = () => void this.look();
    addEventListener('online', () => void this.flush());
    document.addEventListener('visibilitychange', () => document.hidden || void this.flush());
  }

  /** Put a log on its way, in place of one that was refused. Answers after some seconds what is known of it by then. */
  async post(body: LogBody, draft: string, instead: string | null = null): Promise<Outcome> {
    const uuid = newUuid();
    // Else a browser that runs out of room may take back what it kept.
    void navigator.storage?.persist?.();
    await enqueue({ uuid, by: session.user?.trigram ?? null, body }, draft, instead);
    await this.#told();
    await Promise.race([this.flush(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
    const item = this.items.find((one) => one.uuid === uuid);
    return { uuid, state: !item ? 'sent' : item.refused ? 'refused' : 'waiting' };
  }

  /** Send what waits, after the round that is under way. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    const round = this.#round.then(async () => {
      await this.look();
      if (this.waiting.length) await once('mm-outbox', () => this.#send());
    });
    // One that failed does not keep the next from trying.
    this.#round = round.catch(() => {});
    return round;
  }

  async discard(item: Waiting): Promise<void> {
    await settle(item.uuid, null);
    await this.#told();
  }

  async #send(): Promise<void> {
    try {
      // Who one is may have changed, and the token of writes with it.
      await session.find();
      if (!session.known) return;
      for (let item = await this.#next(); item; item = await this.#next()) {
        if (!(await this.#put(item))) return this.#later();
      }
      this.#pause = FIRST_PAUSE_MS;
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      this.#later();
    }
  }

  async #next(): Promise<Waiting | null> {
    return next(await readQueue(), session.user?.trigram ?? null);
  }

  /** Whether there was an answer to it. */
  async #put(item: Waiting): Promise<boolean> {
    const { uuid, body } = item;
    await attempt(item);
    const failure = await failureIn(() =>
      api.PUT('/logs/{uuid}', { params: { path: { uuid } }, body: body as never, headers: { 'If-None-Match': '*' }, signal: AbortSignal.timeout(ANSWER_MS) }),
    );
    const verdict = judge(failure?.status ?? 200);
    if (verdict === 'later') return false;
    await settle(uuid, verdict === 'refused' && !(item.tried && (await isThere(uuid))) ? problemOf(failure!) : null);
    await this.#told();
    return true;
  }

  #later(): void {
    this.#timer = setTimeout(() => void this.flush(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  /** See what is there: another tab may have written or sent. */
  async look(): Promise<void> {
    this.items = await readQueue();
  }

  async #told(): Promise<void> {
    await this.look();
    this.#tabs.postMessage('changed');
  }
}

async function failureIn(call: () => Promise<unknown>): Promise<Failure | null> {
  try {
    await call();
    return null;
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown;
    throw thrown;
  }
}

/** Whether an earlier attempt arrived all the same: rules may have changed since, such as a type that was put aside. */
async function isThere(uuid: string): Promise<boolean> {
  return (await failureIn(() => api.GET('/logs/{uuid}', { params: { path: { uuid }, query: { fields: 'uuid' } } }))) === null;
}

export const outbox = new Outbox();

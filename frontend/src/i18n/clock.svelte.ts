import { serverTime } from '../api/serverTime.svelte';

/** The current time by the service's clock, for relative times such as "12 min". It updates every 30 seconds. */
class Clock {
  #ticks = $state(Date.now());
  now = $derived(this.#ticks + serverTime.offset);

  constructor() {
    setInterval(() => (this.#ticks = Date.now()), 30_000);
  }
}

export const clock = new Clock();

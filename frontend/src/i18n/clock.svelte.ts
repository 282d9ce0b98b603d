import { serverTime } from '../api/serverTime.svelte';

/**
 * The current time by the service's clock, for relative times such as "12 min". It updates every 30 seconds, and when the user
 * returns to the tab.
 */
class Clock {
  #ticks = $state(Date.now());
  now = $derived(this.#ticks + serverTime.offset);

  constructor() {
    setInterval(() => this.#tick(), 30_000);
    // Browsers slow down the timers of a tab in the background.
    document.addEventListener('visibilitychange', () => this.#tick());
  }

  #tick(): void {
    this.#ticks = Date.now();
  }
}

export const clock = new Clock();

/** The current time, for relative times such as "12 min". It updates every 30 seconds, and when the user returns to the tab. */
class Clock {
  now = $state(Date.now());

  constructor() {
    setInterval(() => (this.now = Date.now()), 30_000);
    // Browsers slow down the timers of a tab in the background.
    document.addEventListener('visibilitychange', () => (this.now = Date.now()));
  }
}

export const clock = new Clock();

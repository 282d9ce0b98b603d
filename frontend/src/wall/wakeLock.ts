/**
 * Keep the screen on, where the browser supports it. The browser releases the lock when the page is hidden, so it is requested
 * again when the page becomes visible. Returns a function that lets the screen turn off again.
 */
export function keepScreenOn(): () => void {
  let lock: WakeLockSentinel | null = null;
  let ended = false;

  async function request(): Promise<void> {
    if (document.hidden || !('wakeLock' in navigator)) return;
    try {
      lock = await navigator.wakeLock.request('screen');
      if (ended) await lock.release();
    } catch {
      // The browser refused, because of a low battery or a policy. The screen then follows its own setting.
    }
  }

  document.addEventListener('visibilitychange', request);
  void request();
  return () => {
    ended = true;
    document.removeEventListener('visibilitychange', request);
    void lock?.release();
  };
}

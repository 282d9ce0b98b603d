import { events, type Change } from './events.svelte';

/**
 * Do something when changes arrive that matter, but not more often than each so many milliseconds: many changes at once
 * are one reason to look again.
 */
export function follow(matters: (change: Change) => boolean, run: () => void, every: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = events.listen((change) => {
    if (!matters(change)) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      run();
    }, every);
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}

import { events, type Change } from './events.svelte';

/**
 * Run a callback when a matching change arrives, at most once per interval: a burst of changes causes one reload, not one
 * per change. Returns a function that stops watching.
 */
export function watchChanges(matches: (change: Change) => boolean, callback: () => void, intervalMs: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stopListening = events.listen((change) => {
    if (!matches(change)) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      callback();
    }, intervalMs);
  });
  return () => {
    stopListening();
    clearTimeout(timer);
  };
}

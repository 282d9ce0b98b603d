import { events, type Change } from './events.svelte';

/**
 * Run a callback when a matching change arrives, or when anything may have changed, at most once per interval: a burst of
 * changes causes one reload, not one per change. Returns a function that stops watching.
 */
export function watchChanges(matches: (change: Change) => boolean, callback: () => void, intervalMs = 0): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const schedule = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      callback();
    }, intervalMs);
  };
  const stopListening = events.listen((change) => matches(change) && schedule(), schedule);
  return () => {
    stopListening();
    clearTimeout(timer);
  };
}

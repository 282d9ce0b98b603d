import { serviceWorker } from '../offline/serviceWorker.svelte';
import { isAnyPageOpen } from '../shell/openPages';

const CHECK_INTERVAL_MS = 60_000;
const QUIET_MS = 60_000;

/**
 * Load new builds of the console without asking, because nobody presses a button on a wall display. An update waits until nobody
 * has touched the screen for a minute, and until no other tab shows a page: open pages still load files of their own build. Returns
 * a function that stops the updates.
 */
export function updateWhenQuiet(): () => void {
  let lastInput = Date.now();
  const onInput = (): void => void (lastInput = Date.now());
  const update = async (): Promise<void> => {
    if (!serviceWorker.waiting || Date.now() - lastInput < QUIET_MS || (await isAnyPageOpen())) return;
    serviceWorker.activateUpdate();
  };
  // Another wall display of this browser may switch to the new build first. A page without a worker gets its first one: no update.
  const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  const onControllerChange = container?.controller ? () => location.reload() : () => {};
  container?.addEventListener('controllerchange', onControllerChange);
  const timer = setInterval(() => void update(), CHECK_INTERVAL_MS);
  for (const event of ['pointerdown', 'keydown']) addEventListener(event, onInput);
  return () => {
    clearInterval(timer);
    container?.removeEventListener('controllerchange', onControllerChange);
    for (const event of ['pointerdown', 'keydown']) removeEventListener(event, onInput);
  };
}

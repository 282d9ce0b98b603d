import { tick } from 'svelte';
import { network } from '../api/network.svelte';

/** The page that the browser opened. What it does without is loaded when it is shown, and does not delay it. */
class FirstPage {
  /** Whether the page is on screen with its data. */
  isShown = $state(false);

  /** `loaded` ends when the page's chunk is there. */
  async watch(loaded: Promise<unknown>): Promise<void> {
    await loaded.catch(() => undefined);
    await tick();
    await network.whenQuiet();
    this.isShown = true;
  }
}

export const firstPage = new FirstPage();

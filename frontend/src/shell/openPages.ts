import { storageName } from '../device/rootPath';

// Pages of the console that a user may be working on hold this lock, in all tabs of the browser.
const LOCK = storageName('mm-page');

/** Tell the other tabs that a page is open here. Returns a function that ends it. */
export function holdPageOpen(): () => void {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  void navigator.locks?.request(LOCK, { mode: 'shared' }, () => held);
  return release;
}

/** Whether any tab of this browser shows a page other than the wall display. */
export async function isAnyPageOpen(): Promise<boolean> {
  const { held = [] } = await navigator.locks.query();
  return held.some(({ name }) => name === LOCK);
}

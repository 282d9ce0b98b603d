import { session } from '../api/session.svelte';
import type { Snapshot } from './logList.svelte';

/** Where a list of logs stood: its rows, and the row at the top of the screen with the pixels of it that are scrolled away. */
export interface ListSnapshot {
  queryText: string;
  snapshot: Snapshot;
  uuid: string;
  offset: number;
}

// Each holds at most eight pages of rows.
const MAX_LISTS = 10;
const lists = new Map<string, ListSnapshot>();
session.onSignOut(() => lists.clear());

/** Store the state of a list for a history entry, so that Back shows the list as it was. */
export function storeListSnapshot(entry: string, list: ListSnapshot): void {
  lists.delete(entry);
  lists.set(entry, list);
  if (lists.size > MAX_LISTS) lists.delete(lists.keys().next().value!);
}

/** Forget all lists: what they hold may no longer exist. */
export function clearListSnapshots(): void {
  lists.clear();
}

export function findListSnapshot(entry: string): ListSnapshot | undefined {
  return lists.get(entry);
}

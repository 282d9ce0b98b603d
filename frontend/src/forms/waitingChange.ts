import type { RecordForm } from './recordForm.svelte';
import { refusalOf } from '../logForm/refusal';
import { outbox } from '../offline/outbox.svelte';
import type { QueuedUpdate } from '../offline/queue';
import { getFirst } from '../router/query';
import { router } from '../router/router.svelte';

/** Open the waiting change that the address names in the form of its record. Returns it, or null if there is none. */
export async function openWaitingChange<R extends { version: number }>(form: RecordForm<R> | null): Promise<QueuedUpdate | null> {
  const uuid = getFirst(router.query, 'fix');
  const item = uuid && form ? await outbox.hold(uuid) : null;
  if (item?.kind !== 'update') return null;
  form!.fill(item.body, refusalOf(item));
  return item;
}

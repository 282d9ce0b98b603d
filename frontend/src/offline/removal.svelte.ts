import { ApiError } from '../api/error';
import { i18n } from '../i18n/i18n.svelte';
import { status } from '../shell/status.svelte';
import { outbox, type Target } from './outbox.svelte';
import type { QueuedWrite } from './queue';

/** Delete a record `UNDO_MS` from now, and offer to undo that. If the service refuses, offer what can be done instead. */
export async function removeRecord(target: Target, message: string): Promise<void> {
  const uuid = await outbox.remove(target);
  status.show(message, { label: i18n.t.logDetail.undo, run: () => void outbox.discard({ uuid }).then(() => status.show(i18n.t.logDetail.undone)) });
  const stop = $effect.root(() => {
    $effect(() => {
      const item = outbox.items.find((one) => one.uuid === uuid);
      if (item && !item.refused) return;
      // An effect cannot destroy itself while it runs.
      queueMicrotask(() => stop());
      if (item) void showRefusal(item);
    });
  });
}

/** Tell the user why the service refused a deletion, and remove it from the outbox. */
async function showRefusal(item: QueuedWrite): Promise<void> {
  const alternative = alternativeTo(item);
  await outbox.discard(item);
  status.showError(new ApiError(item.refused!), alternative ?? undefined);
}

/** What to do in place of a deletion that the service refused because logs refer to the record; null if there is nothing. */
export function alternativeTo(item: QueuedWrite): { label: string; run: () => void } | null {
  const isInUse = item.refused?.code === 'machine-has-logs' || item.refused?.code === 'in-use';
  if (item.kind !== 'delete' || !isInUse) return null;
  const { resource, key, base } = item;
  const isMachine = resource === 'machines';
  const { machines, outbox: t } = i18n.t;
  async function run(): Promise<void> {
    await outbox.discard(item);
    const { state } = await outbox.update({ resource, key, base }, isMachine ? { in_service: false } : { active: false }, { mergesAlone: true });
    status.show(state === 'refused' ? t.needsFixing : isMachine ? machines.wasRetired : t.wasDeactivated);
  }
  return { label: isMachine ? machines.retire : t.deactivate, run: () => void run() };
}

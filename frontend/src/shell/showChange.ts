import { deviceStorage } from '../device/deviceStorage.svelte';
import { i18n } from '../i18n/i18n.svelte';
import { router } from '../router/router.svelte';
import { path } from '../router/routes';
import { outbox, type WriteResult } from '../offline/outbox.svelte';
import { status } from './status.svelte';

/**
 * Report the result of a change that the user made with one press, and offer to undo it: `revert` writes the previous values back.
 * If the service refused the change, the message links to the outbox, where the user can fix it.
 */
export function showChange(result: WriteResult, message: string, revert?: () => Promise<WriteResult>): void {
  const t = i18n.t;
  if (result.state === 'refused') return status.show(t.outbox.needsFixing, { label: t.outbox.fix, run: () => router.go(path('outbox')) });
  const text = result.state === 'sent' ? message : `${message} ${deviceStorage.keepsNothing ? t.logForm.pendingUnstored : t.logForm.pending}`;
  status.show(text, revert && { label: t.logDetail.undo, run: () => void undo(result.uuid, revert) });
}

/** Discard a change that was never sent; revert one that was sent. */
async function undo(uuid: string, revert: () => Promise<WriteResult>): Promise<void> {
  const { undone } = i18n.t.logDetail;
  const isWaiting = outbox.items.some((item) => item.uuid === uuid && !item.tried);
  if (!isWaiting) return showChange(await revert(), undone);
  await outbox.discard({ uuid });
  status.show(undone);
}

import { deviceStorage } from '../device/deviceStorage.svelte';
import { i18n } from '../i18n/i18n.svelte';
import { router } from '../router/router.svelte';
import { path } from '../router/routes';
import { outbox, type WriteResult } from '../offline/outbox.svelte';
import { status } from './status.svelte';

/**
 * Say what became of a change that was made by one press, and offer to undo it. `revert` writes the values before. The outbox
 * shows a change that needs the user.
 */
export function showChange(result: WriteResult, message: string, revert?: () => Promise<WriteResult>): void {
  const t = i18n.t;
  if (result.state === 'refused') return status.show(t.outbox.needsFixing, { label: t.outbox.fix, run: () => router.go(path('outbox')) });
  const text = result.state === 'sent' ? message : `${message} ${deviceStorage.keepsNothing ? t.logForm.pendingUnstored : t.logForm.pending}`;
  status.show(text, revert && { label: t.logDetail.undo, run: () => void undo(result.uuid, revert) });
}

/** Forget a change that was never sent, or write the values before it. */
async function undo(uuid: string, revert: () => Promise<WriteResult>): Promise<void> {
  const { undone } = i18n.t.logDetail;
  const isWaiting = outbox.items.some((item) => item.uuid === uuid && !item.tried);
  if (!isWaiting) return showChange(await revert(), undone);
  await outbox.discard({ uuid });
  status.show(undone);
}

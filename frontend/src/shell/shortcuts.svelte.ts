type Handler = (event: KeyboardEvent) => void;

/** The shortcuts of the mounted components. If two use the same key, the component that was mounted later gets it. */
const registered: Record<string, Handler>[] = [];

/**
 * Register keyboard shortcuts and return a function that removes them. In a component, `$effect` calls that function when the
 * component is removed: `$effect(() => registerShortcuts({ n: ... }))`.
 */
export function registerShortcuts(handlers: Record<string, Handler>): () => void {
  registered.push(handlers);
  return () => void registered.splice(registered.indexOf(handlers), 1);
}

function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  const field = target.closest('input, textarea, select, [contenteditable]') as HTMLInputElement | null;
  return field !== null && !['checkbox', 'radio', 'button'].includes(field.type);
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector('dialog[open]')) return;
  if (isTyping(event)) {
    if (event.key === 'Escape') (event.target as HTMLElement).blur();
    return;
  }
  const handler = registered.findLast((handlers) => event.key in handlers)?.[event.key];
  if (!handler) return;
  event.preventDefault();
  handler(event);
});

type Run = (event: KeyboardEvent) => void;

/** The keys of the places that are on screen; of two with one key, the later place has it. */
const places: Record<string, Run>[] = [];

/** Let keys do something as long as a component is there: `$effect(() => keys({ n: ... }))`. */
export function keys(runs: Record<string, Run>): () => void {
  places.push(runs);
  return () => void places.splice(places.indexOf(runs), 1);
}

function isTyped(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  const field = target.closest('input, textarea, select, [contenteditable]') as HTMLInputElement | null;
  return field !== null && !['checkbox', 'radio', 'button'].includes(field.type);
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector('dialog[open]')) return;
  if (isTyped(event)) {
    if (event.key === 'Escape') (event.target as HTMLElement).blur();
    return;
  }
  const run = places.findLast((runs) => event.key in runs)?.[event.key];
  if (!run) return;
  event.preventDefault();
  run(event);
});

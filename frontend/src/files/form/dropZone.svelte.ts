/**
 * Take the files that the user pastes, or drops anywhere on the page. `isOver` tells whether files are being dragged over it. In a
 * component: `$effect(() => zone.watch())`.
 */
export class DropZone {
  isOver = $state(false);
  #onFiles: (files: File[]) => void;

  constructor(onFiles: (files: File[]) => void) {
    this.#onFiles = onFiles;
  }

  watch(): () => void {
    const abort = new AbortController();
    const { signal } = abort;
    addEventListener('paste', (event) => this.#onPaste(event), { signal });
    addEventListener('dragover', (event) => this.#onDrag(event, true), { signal });
    addEventListener('dragleave', (event) => event.relatedTarget === null && this.#onDrag(event, false), { signal });
    addEventListener('drop', (event) => {
      this.isOver = false;
      this.#take(event, event.dataTransfer);
    }, { signal });
    return () => abort.abort();
  }

  #onDrag(event: DragEvent, isOver: boolean): void {
    if (!event.dataTransfer?.types.includes('Files') || hasDialog()) return;
    // Without this, the browser would open the dropped file in place of the console.
    event.preventDefault();
    this.isOver = isOver;
  }

  /** Office programs copy a picture of a text along with it: the user wants the text. */
  #onPaste(event: ClipboardEvent): void {
    if (!event.clipboardData?.types.includes('text/plain')) this.#take(event, event.clipboardData);
  }

  #take(event: Event, transfer: DataTransfer | null): void {
    const files = [...(transfer?.files ?? [])];
    if (!files.length || hasDialog()) return;
    event.preventDefault();
    this.#onFiles(files);
  }
}

function hasDialog(): boolean {
  return document.querySelector('dialog[open]') !== null;
}

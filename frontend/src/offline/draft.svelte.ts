import { session } from '../api/session.svelte';
import { status } from '../shell/status.svelte';
import { readDraft, readDraftKeys, writeDraft, type StoredDraft } from './database';

/** The unsent input of one form, stored at each keystroke. Nothing is written before `read` has returned the stored input. */
export class Draft {
  readonly key: string;
  /** Whether the latest input is on the disk. */
  isSaved = $state(false);
  #canSave = false;
  #nextWrite: StoredDraft | null | undefined;
  #writing: Promise<void> | null = null;

  constructor(form: string) {
    this.key = keyOf(form);
  }

  async read(): Promise<StoredDraft | undefined> {
    const stored = await readDraft(this.key);
    this.isSaved = stored !== undefined;
    this.#canSave = true;
    return stored;
  }

  /** Store the input, or delete the draft if it is null. During a write, only the latest input waits for its turn. */
  save(draft: StoredDraft | null): void {
    if (!this.#canSave) return;
    this.isSaved = false;
    this.#nextWrite = draft;
    this.#writing ??= this.#write();
  }

  /** Stop saving, because the input is about to be sent, and wait until the current write ends. */
  async close(): Promise<void> {
    this.#canSave = false;
    await this.#writing;
  }

  async discard(): Promise<void> {
    await this.close();
    await writeDraft(this.key, null);
    this.isSaved = false;
  }

  async #write(): Promise<void> {
    try {
      while (this.#nextWrite !== undefined) {
        const draft = this.#nextWrite;
        this.#nextWrite = undefined;
        await writeDraft(this.key, draft);
        if (this.#nextWrite === undefined) this.isSaved = draft !== null;
      }
    } catch (thrown) {
      status.showError(thrown);
    } finally {
      this.#writing = null;
    }
  }
}

/** The machines for which this user has an unsent new log. */
export async function readMachinesWithDrafts(): Promise<string[]> {
  const prefix = keyOf(NEW_LOG);
  return (await readDraftKeys(prefix)).map((key) => key.slice(prefix.length)).filter(Boolean);
}

// The names of the forms. They are part of stored keys, so renaming one would lose the drafts that browsers hold.
/** A new log; the machine that the form was opened for follows. */
export const NEW_LOG = 'new:';
/** The correction of a log that the service refused; its UUID follows. */
export const REFUSED_LOG = 'mend:';
/** A change of an existing log; its UUID follows. */
export const EDIT_LOG = 'edit:';

function keyOf(form: string): string {
  return `${session.user?.trigram ?? ''}/${form}`;
}

import { session } from '../api/session.svelte';
import { status } from '../shell/status.svelte';
import { draftKeys, readDraft, writeDraft, type StoredDraft } from './store';

/** What one person types in one place, kept with each keystroke. It saves nothing before what is stored was read. */
export class Draft {
  readonly key: string;
  /** Whether all that was typed is on the disk. */
  kept = $state(false);
  #read = false;
  #wanted: StoredDraft | null | undefined;
  #writing: Promise<void> | null = null;

  constructor(place: string) {
    this.key = keyOf(place);
  }

  async read(): Promise<StoredDraft | undefined> {
    const stored = await readDraft(this.key);
    this.kept = stored !== undefined;
    this.#read = true;
    return stored;
  }

  /** Keep this, or nothing. What is typed while the disk is at work is written next, all at once. */
  save(draft: StoredDraft | null): void {
    if (!this.#read) return;
    this.kept = false;
    this.#wanted = draft;
    this.#writing ??= this.#write();
  }

  /** Wait for the disk, and save no more: what was typed has become something else. */
  async close(): Promise<void> {
    this.#read = false;
    await this.#writing;
  }

  async drop(): Promise<void> {
    await this.close();
    await writeDraft(this.key, null);
    this.kept = false;
  }

  async #write(): Promise<void> {
    try {
      while (this.#wanted !== undefined) {
        const draft = this.#wanted;
        this.#wanted = undefined;
        await writeDraft(this.key, draft);
        if (this.#wanted === undefined) this.kept = draft !== null;
      }
    } catch (thrown) {
      status.fail(thrown);
    } finally {
      this.#writing = null;
    }
  }
}

/** Where else this person began a log: the machines of those drafts. */
export async function begun(): Promise<string[]> {
  const prefix = keyOf(NEW);
  return (await draftKeys(prefix)).map((key) => key.slice(prefix.length)).filter(Boolean);
}

/** The place of a new log; a machine that it was opened for comes after it. */
export const NEW = 'new:';

function keyOf(place: string): string {
  return `${session.user?.trigram ?? ''}/${place}`;
}

import { session } from '../api/session.svelte';
import { serverTime } from '../api/serverTime.svelte';
import { readDraftKeys, moveDraft, readDraft, writeDraft } from './database';
import type { StoredDraft } from '../device/deviceStorage.svelte';
import { deleteFiles } from './fileStore';
import { openPages, pageId, previousPageId } from '../device/page';
import { randomUuid } from '../device/uuid';

// The names of the forms. They are part of stored keys, so renaming one would lose the drafts that browsers hold.
/** A new log; the machine that the form was opened for follows. */
export const NEW_LOG = 'new:';
/** A write that the service refused; its UUID follows. */
export const REFUSED = 'mend:';
/** A change of an existing log; its UUID follows. */
export const EDIT_LOG = 'edit:';
/** A change of an existing machine; its name follows. Without a name, a new machine. */
export const EDIT_MACHINE = 'machine:';

const PAGE_SUFFIX = /#([0-9a-f-]{36})$/;

/**
 * The unsent input of one form in one tab, stored at each keystroke. Another tab never changes or deletes it; when the tab is
 * gone, the next one that opens the form takes it over. Nothing is written before `read` has returned the stored input.
 */
export class Draft {
  readonly key: string;
  /** The UUID of the write that the form sends. */
  uuid = randomUuid();
  /** Whether the latest input is on the disk. */
  isSaved = $state(false);
  readonly #form: string;
  #canSave = false;
  #nextWrite: StoredDraft | null | undefined;
  #writing: Promise<void> | null = null;

  constructor(form: string) {
    this.#form = form;
    this.key = `${prefix()}${form}#${pageId}`;
  }

  async read(): Promise<StoredDraft | undefined> {
    const stored = (await readDraft(this.key)) ?? (await this.#takeOver());
    if (stored?.uuid) this.uuid = stored.uuid;
    this.isSaved = stored !== undefined;
    this.#canSave = true;
    drafts.setOpen(this.key);
    return stored;
  }

  /** Store the input, or delete the draft if it is null. During a write, only the latest input waits for its turn. */
  save(draft: Pick<StoredDraft, 'values' | 'base' | 'files'> | null): void {
    if (!this.#canSave) return;
    this.isSaved = false;
    this.#nextWrite = draft && { ...draft, uuid: this.uuid, savedAt: serverTime.now() };
    this.#writing ??= this.#write();
  }

  /** Stop saving, because the input is about to be sent or the form is closed, and wait until the current write ends. */
  async close(): Promise<void> {
    this.#canSave = false;
    await this.#writing;
    drafts.setClosed(this.key);
  }

  /** Save again after `close`: the input was not accepted. */
  reopen(): void {
    this.#canSave = true;
    drafts.setOpen(this.key);
  }

  async discard(): Promise<void> {
    await this.close();
    await deleteDraft(this.key);
    this.isSaved = false;
    await drafts.reload();
  }

  /** Take the latest draft of this form that no open tab has, first the one of this tab before it was loaded again. */
  async #takeOver(): Promise<StoredDraft | undefined> {
    const candidates = (await drafts.read()).filter(({ form, isElsewhere }) => form === this.#form && !isElsewhere);
    candidates.sort((one, other) => Number(other.page === previousPageId) - Number(one.page === previousPageId) || other.savedAt - one.savedAt);
    for (const { key } of candidates) {
      const taken = await moveDraft(key, this.key);
      if (taken) return taken;
    }
    return undefined;
  }

  async #write(): Promise<void> {
    while (this.#nextWrite !== undefined) {
      const draft = this.#nextWrite;
      this.#nextWrite = undefined;
      const isStored = await writeDraft(this.key, draft);
      if (this.#nextWrite === undefined) this.isSaved = isStored && draft !== null;
    }
    this.#writing = null;
  }
}

/** Delete a draft and the bytes of its files. */
async function deleteDraft(key: string): Promise<void> {
  const files = (await readDraft(key))?.files ?? [];
  await writeDraft(key, null);
  await deleteFiles(files.map(({ id }) => id));
}

/** A draft as the list of unfinished forms shows it. */
export interface DraftInfo {
  key: string;
  form: string;
  page: string | null;
  savedAt: number;
  /** Whether the form is open in another tab. */
  isElsewhere: boolean;
  draft: StoredDraft;
}

/** All drafts of this user on this device. */
class Drafts {
  /** The drafts whose forms are not open in this tab. */
  unfinished = $state.raw<readonly DraftInfo[]>([]);
  #open = new Set<string>();

  async read(): Promise<DraftInfo[]> {
    const keys = await readDraftKeys(prefix());
    const pages = keys.map((key) => PAGE_SUFFIX.exec(key)?.[1] ?? null);
    const open = await openPages(pages.filter((page) => page !== null && page !== pageId) as string[]);
    const infos = await Promise.all(
      keys.map(async (key, index) => {
        const [page, draft] = [pages[index]!, await readDraft(key)];
        const form = key.slice(prefix().length).replace(PAGE_SUFFIX, '');
        return draft && { key, form, page, savedAt: draft.savedAt ?? 0, isElsewhere: page !== null && page !== pageId && open.has(page), draft };
      }),
    );
    return infos.filter((info) => info !== undefined);
  }

  async reload(): Promise<void> {
    this.unfinished = (await this.read()).filter(({ key }) => !this.#open.has(key));
  }

  async discard(key: string): Promise<void> {
    await deleteDraft(key);
    await this.reload();
  }

  setOpen(key: string): void {
    this.#open.add(key);
    this.unfinished = this.unfinished.filter((one) => one.key !== key);
  }

  setClosed(key: string): void {
    this.#open.delete(key);
    void this.reload();
  }
}

export const drafts = new Drafts();

/** The machines for which this user has an unsent new log. */
export async function readMachinesWithDrafts(): Promise<string[]> {
  const forms = (await drafts.read()).filter(({ form, isElsewhere }) => form.startsWith(NEW_LOG) && !isElsewhere);
  return [...new Set(forms.map(({ form }) => form.slice(NEW_LOG.length)))].filter(Boolean);
}

function prefix(): string {
  return `${session.user?.trigram ?? ''}/`;
}

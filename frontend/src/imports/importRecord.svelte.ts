import { ApiError, asApiError, type Problem } from '../api/error';
import { readLocal, removeLocal, writeLocal } from '../device/localStorage';
import { status } from '../shell/status.svelte';
import type { Mapping } from './mapping/mapping';
import { followImport, proposeMapping, putMapping, readImport, startImport, type Import, type ReadOptions } from './requests';

export const WORKING: readonly string[] = ['reading', 'applying', 'undoing'];
const RETRY_MS = 1000;
// Browsers hold unsaved mappings under these keys.
const draftKey = (id: string) => `mm.import.${id}`;

/** One import, and the mapping as the user has changed it. While the service works on it, its progress is followed. */
export class ImportRecord {
  readonly id: string;
  detail = $state.raw<Import | null>(null);
  /** Why the import could not be read. */
  error = $state.raw<ApiError | null>(null);
  /** The mapping in the form; null for a table with the columns of this product. */
  mapping = $state.raw<Mapping | null>(null);
  /** Why the service has refused the mapping of the form. */
  mappingError = $state.raw<ApiError | null>(null);
  /** Whether the preview is of another mapping than the form has. */
  isChanged = $derived(this.mapping !== null && JSON.stringify(this.mapping) !== JSON.stringify(this.detail?.mapping));
  isWorking = $derived(this.detail !== null && WORKING.includes(this.detail.state));
  #timer: ReturnType<typeof setTimeout> | undefined;
  #following: AbortController | null = null;
  #isClosed = false;

  constructor(id: string) {
    this.id = id;
  }

  async load(): Promise<void> {
    try {
      this.#show(await readImport(this.id));
      this.error = null;
    } catch (thrown) {
      this.error = asApiError(thrown);
      // A break in the network ends no import: its progress goes on when the network is back.
      if (this.detail && this.error.isTransient) this.#loadLater();
    }
  }

  /** Stop following the progress. */
  close(): void {
    this.#isClosed = true;
    this.#following?.abort();
    clearTimeout(this.#timer);
  }

  change(mapping: Mapping): void {
    this.mapping = mapping;
    writeLocal(draftKey(this.id), mapping);
  }

  /** Preview with the mapping of the form. Returns whether the service took it. */
  async preview(): Promise<boolean> {
    return this.mapping !== null && this.#read(() => putMapping(this.id, this.mapping!));
  }

  /** Read the file in another way. The service proposes a new mapping. */
  async readAgain(read: ReadOptions): Promise<boolean> {
    return this.#read(() => proposeMapping(this.id, read));
  }

  async start(step: 'apply' | 'undo'): Promise<void> {
    try {
      await startImport(this.id, step);
    } catch (thrown) {
      status.showError(thrown);
    }
    await this.load();
  }

  async #read(request: () => Promise<Import>): Promise<boolean> {
    try {
      const found = await request();
      removeLocal(draftKey(this.id));
      this.mapping = null;
      this.mappingError = null;
      this.#show(found);
      return true;
    } catch (thrown) {
      this.mappingError = asApiError(thrown);
      return false;
    }
  }

  #show(found: Import): void {
    this.detail = found;
    this.mapping ??= readLocal<Mapping>(draftKey(this.id)) ?? found.mapping;
    // A proposal that does not fit the table: the user can correct it.
    if (found.problem && !found.preview) this.mappingError ??= new ApiError({ status: 422, ...found.problem } as unknown as Problem);
    if (this.isWorking) void this.#follow();
  }

  /** Show the progress until the service is done, and then load the import. If the stream fails, load the import in a while. */
  async #follow(): Promise<void> {
    if (this.#isClosed || this.#following) return;
    this.#following = new AbortController();
    let isDone = false;
    try {
      for await (const { state, done, total } of followImport(this.id, this.#following.signal)) {
        isDone = !WORKING.includes(state);
        if (!isDone) this.detail = { ...this.detail!, state, done, total };
      }
    } catch {
      // The network, or the service: both may be back when the import is loaded.
    }
    this.#following = null;
    if (isDone && !this.#isClosed) await this.load();
    else this.#loadLater();
  }

  #loadLater(): void {
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.load(), RETRY_MS);
  }
}

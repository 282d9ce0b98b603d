import { asApiError, type ApiError } from '../api/error';
import { patchOf, rebase, valuesOf, type FormValues } from './formValues';

interface Versioned {
  version: number;
}

type Patch = ReturnType<typeof patchOf>;

/**
 * The state of a form that edits a record. The form sends the version it has read; if another user changed the record since,
 * the form merges both changes and asks the user to save again.
 */
export class RecordForm<R extends Versioned> {
  values = $state<FormValues>({});
  error = $state.raw<ApiError | null>(null);
  busy = $state(false);
  /** Whether the form contains changes of another user that were merged in. */
  hasConflict = $state(false);
  #fields: readonly string[];
  #before = $state.raw<FormValues>({});
  #version: number;

  constructor(record: R, fields: readonly string[]) {
    this.#fields = fields;
    this.#version = record.version;
    this.#before = valuesOf(record, fields);
    this.values = { ...this.#before };
  }

  get changes(): Patch {
    return patchOf(this.#before, this.values);
  }

  /** Put in values that were sent before, and why the service refused them. */
  fill(body: Record<string, unknown>, error: ApiError | null): void {
    const fields = Object.keys(body).filter((field) => this.#fields.includes(field));
    this.values = { ...this.values, ...valuesOf(body, fields) };
    this.error = error;
  }

  /** Send the changes with the version as an ETag. Returns whether they were saved; otherwise `error` or `hasConflict` is set, or an earlier press is still being sent. */
  async save(send: (body: Patch, etag: string) => Promise<R>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.hasConflict = false;
    try {
      this.#setRecord(await send(this.changes, `"${this.#version}"`));
      this.values = { ...this.#before };
      this.error = null;
      return true;
    } catch (thrown) {
      this.error = asApiError(thrown);
      if (this.error.status === 412 && this.error.current) this.#merge(this.error.current as R);
      return false;
    } finally {
      this.busy = false;
    }
  }

  #merge(current: R): void {
    this.values = rebase(this.#before, this.values, valuesOf(current, this.#fields));
    this.#setRecord(current);
    this.hasConflict = true;
    this.error = null;
  }

  #setRecord(record: R): void {
    this.#version = record.version;
    this.#before = valuesOf(record, this.#fields);
  }
}

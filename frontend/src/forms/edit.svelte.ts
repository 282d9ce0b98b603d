import { asFailure, type Failure } from '../api/failure';
import { changes, rebase, valuesOf, type Values } from './edits';

interface Versioned {
  version: number;
}

/** A record in a form: sent with the version that was read, so that nobody is overwritten. */
export class Edit<R extends Versioned> {
  values = $state<Values>({});
  failure = $state.raw<Failure | null>(null);
  busy = $state(false);
  /** Somebody else changed the record meanwhile; the form has both changes now. */
  overtaken = $state(false);
  #fields: readonly string[];
  #before = $state.raw<Values>({});
  #version: number;

  constructor(record: R, fields: readonly string[]) {
    this.#fields = fields;
    this.#version = record.version;
    this.#before = valuesOf(record, fields);
    this.values = { ...this.#before };
  }

  get changes(): ReturnType<typeof changes> {
    return changes(this.#before, this.values);
  }

  /** Send what was changed; whether it was taken. A refusal is kept for the fields. */
  async save(send: (body: ReturnType<typeof changes>, tag: string) => Promise<R>): Promise<boolean> {
    this.busy = true;
    this.overtaken = false;
    try {
      this.#take(await send(this.changes, `"${this.#version}"`));
      this.values = { ...this.#before };
      this.failure = null;
      return true;
    } catch (thrown) {
      this.failure = asFailure(thrown);
      if (this.failure.status === 412 && this.failure.current) this.#meet(this.failure.current as R);
      return false;
    } finally {
      this.busy = false;
    }
  }

  #meet(current: R): void {
    this.values = rebase(this.#before, this.values, valuesOf(current, this.#fields));
    this.#take(current);
    this.overtaken = true;
    this.failure = null;
  }

  #take(record: R): void {
    this.#version = record.version;
    this.#before = valuesOf(record, this.#fields);
  }
}

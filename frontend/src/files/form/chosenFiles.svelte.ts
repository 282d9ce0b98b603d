import { randomUuid } from '../../device/uuid';
import { deleteFiles, readFile, storeFile } from '../../offline/fileStore';
import type { NewUpload } from '../../offline/outbox.svelte';
import { MAX_FILES } from '../attachments';
import { pictureOf } from '../tiles/picture';
import { freeBytes } from './quota';

/** A file that the user has chosen and not sent. */
export interface ChosenFile extends NewUpload {
  /** An address for its picture; null if it is no image. */
  picture: string | null;
}

/** The files of a form. Their bytes are on this device until they are sent. Call `release` when the form is gone. */
export class ChosenFiles {
  items = $state.raw<readonly ChosenFile[]>([]);
  /** The names of files that this device has no room for. They are sent if the page stays open until then. */
  unstored = $state.raw<readonly string[]>([]);
  /** The names of files that the browser could not read. */
  unreadable = $state.raw<readonly string[]>([]);
  /** How many files were left out because a record can have no more. */
  leftOut = $state(0);
  /** The bytes that this device still has room for, if it says so. */
  free = $state<number | null>(null);
  /** Ends when all files that the user has chosen are among the items. */
  added: Promise<void> = Promise.resolve();
  /** How many files the record has already. */
  #present: () => number;

  constructor(present: () => number = () => 0) {
    this.#present = present;
  }

  /** Store files on this device and show them. */
  add(files: readonly File[]): Promise<void> {
    this.added = this.added.then(() => this.#addAll(files));
    return this.added;
  }

  /** Show the files of a stored draft. Those that this device has lost are left out. */
  async restore(files: readonly ({ id: string } & Omit<NewUpload, 'uuid'>)[]): Promise<void> {
    const found = await Promise.all(files.map(async ({ id, ...info }) => ({ info: { uuid: id, ...info }, file: await readFile(id) })));
    revoke(this.items);
    this.items = found.flatMap(({ info, file }) => (file ? [{ ...info, picture: pictureOf(file) }] : []));
    await this.measure();
  }

  async remove({ uuid, name }: ChosenFile): Promise<void> {
    revoke(this.items.filter((item) => item.uuid === uuid));
    this.items = this.items.filter((item) => item.uuid !== uuid);
    this.unstored = this.unstored.filter((one) => one !== name);
    await deleteFiles([uuid]);
    await this.measure();
  }

  async measure(): Promise<void> {
    this.free = await freeBytes();
  }

  /** Take the files out, to send them: their bytes stay where they are. */
  release(): NewUpload[] {
    const uploads = this.items.map(({ uuid, name, size, type }) => ({ uuid, name, size, type }));
    revoke(this.items);
    this.items = [];
    return uploads;
  }

  async #addAll(files: readonly File[]): Promise<void> {
    const room = Math.max(0, MAX_FILES - this.#present() - this.items.length);
    this.leftOut = Math.max(0, files.length - room);
    this.unreadable = [];
    for (const file of files.slice(0, room)) await this.#add(file);
    await this.measure();
  }

  async #add(file: File): Promise<void> {
    if (!(await isReadable(file))) {
      this.unreadable = [...this.unreadable, file.name];
      return;
    }
    const [uuid, name] = [randomUuid(), file.name || 'file'];
    if (!(await storeFile(uuid, file))) this.unstored = [...this.unstored, name];
    this.items = [...this.items, { uuid, name, size: file.size, type: file.type, picture: pictureOf(file) }];
  }
}

function revoke(items: readonly ChosenFile[]): void {
  for (const { picture } of items) if (picture) URL.revokeObjectURL(picture);
}

/** Whether the browser can read it. A folder that was dropped is a file that it cannot read. */
function isReadable(file: File): Promise<boolean> {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

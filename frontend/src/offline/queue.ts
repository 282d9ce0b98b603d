import type { Problem } from '../api/error';
import type { FileInfo } from '../device/deviceStorage.svelte';

/** The records that the outbox can write: the first segment of their API path. */
export type Resource = 'logs' | 'machines' | 'log-types' | 'users';

/** A record as the API returned it. */
export type StoredRecord = { version: number } & Record<string, unknown>;

/** The body of the PUT request that creates a log. */
export type LogBody = { machine: string; type: string; started_at: string } & Record<string, string | null | object | boolean>;

interface Queued {
  /** Identifies the write: one press of a button, however often it is sent. A new log has the same UUID. */
  uuid: string;
  /** The order in which the user made the writes. */
  seq: number;
  /** The trigram of the user: only this user sends the write. Null on a site without accounts. */
  by: string | null;
  /** Whether a request was sent before: the service may have the write even though no response arrived. */
  tried: boolean;
  /** The problem with which the service refused the write. A refused write waits for its author, not for the network. */
  refused: Problem | null;
}

/** A new log. */
export interface QueuedCreate extends Queued {
  kind: 'create';
  body: LogBody;
  /** Whether the user changed the log after it was first sent. An earlier request may have stored the log without the change. */
  wasFixed?: boolean;
}

/** A change of a record that exists. */
export interface QueuedUpdate extends Queued {
  kind: 'update';
  resource: Resource;
  key: string;
  body: Record<string, unknown>;
  /** The record as the user saw it, with the user's own earlier changes. */
  base: StoredRecord;
  /** The version that the change replaces. */
  version: number;
  /** The change is sent again if another user changed other fields only: the end of a stop needs no decision. */
  mergesAlone: boolean;
}

/** A deletion. */
export interface QueuedDelete extends Queued {
  kind: 'delete';
  resource: Resource;
  key: string;
  base: StoredRecord;
  version: number;
  /** The time, in milliseconds of this device, before which the deletion can be undone and is not sent. */
  sendAfter: number;
}

/** A file of a log or a machine. Its UUID is the id of the attachment; `fileStore.ts` has its bytes. */
export interface QueuedUpload extends Queued, FileInfo {
  kind: 'upload';
  resource: 'logs' | 'machines';
  key: string;
  /** The name of the machine, to show what the file belongs to. */
  machine: string;
}

/** A write that the service has not accepted yet. IndexedDB stores these objects, so their field names must not change. */
export type QueuedWrite = QueuedCreate | QueuedUpdate | QueuedDelete | QueuedUpload;

/** What a caller gives: the outbox adds the rest. */
export type NewWrite = DistributiveOmit<QueuedWrite, 'seq' | 'by' | 'tried' | 'refused'>;
type DistributiveOmit<T, K extends string> = T extends unknown ? Omit<T, K> : never;

/** Read an object of the store. Earlier builds of the console stored new logs only, without `kind`. */
export function fromStored(stored: object): QueuedWrite {
  return { kind: 'create', ...stored } as QueuedWrite;
}

/** The record that a write is about, as `resource/key`. */
export function recordOf(write: QueuedWrite): string {
  return write.kind === 'create' ? `logs/${write.uuid}` : `${write.resource}/${write.key}`;
}

/**
 * The next write to send: the oldest of this user. A refused write holds back the later writes to the same record, and so
 * does a deletion that can still be undone. Writes to other records are sent. Files are sent apart, see `nextUpload`.
 */
export function nextToSend(queue: readonly QueuedWrite[], user: string | null, now: number): Exclude<QueuedWrite, QueuedUpload> | null {
  const held = new Set<string>();
  for (const write of ownInOrder(queue, user)) {
    if (write.kind === 'upload') continue;
    const mustWait = write.refused !== null || (write.kind === 'delete' && (write.sendAfter > now || hasUploadBefore(queue, write)));
    if (!mustWait && !held.has(recordOf(write))) return write;
    held.add(recordOf(write));
  }
  return null;
}

/** The next file to send: the oldest of this user whose record exists, under the name that the service knows. */
export function nextUpload(queue: readonly QueuedWrite[], user: string | null): QueuedUpload | null {
  const held = new Set<string>();
  for (const write of ownInOrder(queue, user)) {
    if (write.kind === 'create' || (write.kind === 'update' && !write.refused)) held.add(recordOf(write));
    if (write.kind === 'upload' && !write.refused && !held.has(recordOf(write))) return write;
  }
  return null;
}

function ownInOrder(queue: readonly QueuedWrite[], user: string | null): QueuedWrite[] {
  return queue.filter(({ by }) => by === null || by === user).sort((one, other) => one.seq - other.seq);
}

/** Whether a file that the user added before the deletion is still to be sent. */
function hasUploadBefore(queue: readonly QueuedWrite[], deletion: QueuedDelete): boolean {
  return queue.some((write) => write.kind === 'upload' && !write.refused && write.seq < deletion.seq && recordOf(write) === recordOf(deletion));
}

/** The code of the problem that stands for "the user has opened this write to change it". */
export const ON_HOLD = 'on-hold';

/** The code of the problem that stands for "this device does not have the bytes of the file any more". */
export const FILE_LOST = 'file-lost';

export type Outcome = 'accepted' | 'retry' | 'refused';

/**
 * What the status of a response means for a write. For a new log, 412 means that the service has this UUID already: an earlier
 * request arrived and its response was lost. A record that is gone needs no deletion. The outbox retries when there was no
 * response, nobody is signed in, there were too many requests, or the service had an error. It does not send a file again and again to a
 * service without room or a folder for files: an admin has to do something first.
 */
export function outcomeOf(kind: QueuedWrite['kind'], status: number, code = ''): Outcome {
  if ((status >= 200 && status < 300) || (kind === 'create' && status === 412)) return 'accepted';
  if (kind === 'delete' && (status === 404 || status === 410)) return 'accepted';
  if (kind === 'upload' && (status === 507 || code === 'files-unavailable')) return 'refused';
  const isTransient = status === 0 || status === 401 || status === 408 || status === 425 || status === 429 || status >= 500;
  return isTransient ? 'retry' : 'refused';
}

/** Whether the record has every value of the change already: an earlier request arrived and its response was lost. */
export function isApplied({ body }: QueuedUpdate, current: StoredRecord): boolean {
  return flatten(body).every(([field, value]) => areEqual(valueAt(current, field), value));
}

/** Whether nobody else changed the fields of the change since the user read the record. */
export function isUnrelated({ body, base }: QueuedUpdate, current: StoredRecord): boolean {
  return flatten(body).every(([field, value]) => areEqual(valueAt(current, field), valueAt(base, field)) || areEqual(valueAt(current, field), value));
}

// What a new file changes in a record.
const UPLOAD_FIELDS = ['attachments', 'attachment_count', 'version', 'updated_at', 'expanded'];

/** Whether only the files of the record changed since the user read it: that is no conflict with a change of its fields. */
export function differsInFilesOnly(base: StoredRecord, current: StoredRecord): boolean {
  return Object.keys(current).every((field) => UPLOAD_FIELDS.includes(field) || areEqual(current[field], base[field]));
}

/** The record as it will be when these waiting changes are sent. */
export function withPending<R extends object>(record: R, queue: readonly QueuedWrite[], name: string): R {
  const changes = queue.filter((write) => write.kind === 'update' && recordOf(write) === name) as QueuedUpdate[];
  return changes.reduce((patched, { body }) => applyPatch(patched, body), record);
}

/** The record after a change. As in the API, attributes are merged one by one, and null removes one. */
export function applyPatch<R extends object>(record: R, body: Record<string, unknown>): R {
  const changed = { ...record, ...body };
  if (!body.attributes) return changed;
  const merged = { ...(record as { attributes?: object }).attributes, ...body.attributes };
  return { ...changed, attributes: Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null)) };
}

/** The changes of a body, each attribute for itself. */
function flatten(body: Record<string, unknown>): [string[], unknown][] {
  return Object.entries(body).flatMap(([field, value]): [string[], unknown][] =>
    field === 'attributes' ? Object.entries(value ?? {}).map(([name, one]) => [[field, name], one]) : [[[field], value]],
  );
}

function valueAt(record: Record<string, unknown>, [field, name]: string[]): unknown {
  return name === undefined ? record[field!] : (record[field!] as Record<string, unknown> | undefined)?.[name];
}

function areEqual(one: unknown, other: unknown): boolean {
  if (isTime(one) && isTime(other)) return Date.parse(one) === Date.parse(other);
  return one === other || JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

/** The service writes times in its own form: `...:05Z` where the console sent `...:05.000Z`. */
function isTime(value: unknown): value is string {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value);
}

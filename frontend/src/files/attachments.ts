import type { Schemas } from '../api/client';
import { session } from '../api/session.svelte';
import { ROOT_PATH } from '../device/rootPath';

export type Attachment = Schemas['Attachment'];
/** A record with files: a log or a machine. */
export type FileOwner = { resource: 'logs' | 'machines'; key: string; machine: string };

/** The most files that a record may have. The API has the same limit. */
export const MAX_FILES = 50;
const OWN_REMOVAL_PERIOD_MS = 24 * 60 * 60 * 1000;
// Images that every browser shows. The others have a preview only.
const SHOWN = ['image/jpeg', 'image/png', 'image/gif', 'image/webp', 'image/avif'];

/** Whether the service can show a preview of the file. */
export function isImage({ media_type, width }: Attachment): boolean {
  return width !== null && width !== undefined && media_type.startsWith('image/');
}

/** The attachments that have a preview. */
export function imagesOf(attachments: readonly Attachment[] | undefined): Attachment[] {
  return (attachments ?? []).filter(isImage);
}

/** The address of a preview, at most `size` pixels wide and high. */
export function previewAddress({ id }: Attachment, size: 320 | 1280): string {
  return `${ROOT_PATH}/attachments/${id}/preview?size=${size}`;
}

/** The address of the file as it was uploaded. */
export function fileAddress({ id }: Attachment): string {
  return `${ROOT_PATH}/attachments/${id}`;
}

/** The address with all pixels of an image; of its largest preview if browsers may not show its type. */
export function sharpAddress(image: Attachment): string {
  return SHOWN.includes(image.media_type) ? fileAddress(image) : previewAddress(image, 1280);
}

/** Whether the current user may remove a file. This repeats the rule of the API, to hide buttons that the API would refuse. */
export function canRemove({ user, created_at }: Attachment, now: number): boolean {
  if (session.hasRole('supervisor')) return true;
  const isOwn = user !== null && user === session.user?.trigram;
  return session.hasRole('operator') && isOwn && now - Date.parse(created_at) <= OWN_REMOVAL_PERIOD_MS;
}

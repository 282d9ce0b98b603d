import { api } from '../api/client';
import type { Attachment, FileOwner } from './attachments';

export async function renameFile(owner: FileOwner, { id }: Attachment, name: string): Promise<void> {
  await api.PATCH(pathOf(owner, id) as never, { body: { name } } as never);
}

export async function removeFile(owner: FileOwner, { id }: Attachment): Promise<void> {
  await api.DELETE(pathOf(owner, id) as never, {} as never);
}

/** The path of an attachment. The types of the client know only one path for each resource, so callers cast it. */
function pathOf({ resource, key }: FileOwner, id: string): string {
  return `/${resource}/${encodeURIComponent(key)}/attachments/${id}`;
}

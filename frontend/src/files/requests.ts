import { api } from '../api/client';
import type { Attachment, FileOwner } from './attachments';

export async function renameFile(owner: FileOwner, { id }: Attachment, name: string): Promise<void> {
  await api.PATCH(pathOf(owner, id), { body: { name } } as never);
}

export async function removeFile(owner: FileOwner, { id }: Attachment): Promise<void> {
  await api.DELETE(pathOf(owner, id), {} as never);
}

function pathOf({ resource, key }: FileOwner, id: string): never {
  return `/${resource}/${encodeURIComponent(key)}/attachments/${id}` as never;
}

import { api, data } from '../api/client';
import type { Attachment, FileOwner } from './attachments';

/** Give a file another name. Returns the record. */
export async function renameFile(owner: FileOwner, { id }: Attachment, name: string): Promise<unknown> {
  return data(api.PATCH(pathOf(owner, id), { body: { name } } as never));
}

export async function removeFile(owner: FileOwner, { id }: Attachment): Promise<void> {
  await api.DELETE(pathOf(owner, id), {} as never);
}

function pathOf({ resource, key }: FileOwner, id: string): never {
  return `/${resource}/${encodeURIComponent(key)}/attachments/${id}` as never;
}

interface Page {
  items: readonly unknown[];
  next?: string | null;
}

/** All records of a resource that has few, page by page. */
export async function all<T>(read: (cursor?: string) => Promise<Page>): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await read(cursor);
    found.push(...(page.items as T[]));
    cursor = page.next ?? undefined;
  } while (cursor);
  return found;
}

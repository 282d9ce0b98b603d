interface Page {
  items: readonly unknown[];
  next?: string | null;
}

/** Read every page of a small resource and return all its records. */
export async function readAllPages<T>(readPage: (cursor?: string) => Promise<Page>): Promise<T[]> {
  const records: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await readPage(cursor);
    records.push(...(page.items as T[]));
    cursor = page.next ?? undefined;
  } while (cursor);
  return records;
}

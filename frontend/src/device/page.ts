import { storageName } from './rootPath';
import { openChannel } from './tabChannel';
import { randomUuid } from './uuid';

// The browser keeps this with the tab, so a page that is loaded again in its tab finds the drafts that it had before.
const KEY = 'mm.page';
const ANSWER_MS = 200;

type Message = { ask: string[]; answer?: undefined } | { answer: string; ask?: undefined };

/** Identifies this page from its load to its end. */
export const pageId = randomUuid();
/** The page that this tab showed before, if this one was loaded in its place. */
export const previousPageId = replaceStoredPageId();

/** When each page last answered. */
const answeredAt = new Map<string, number>();
const channel = openChannel<Message>('mm-pages', ({ ask, answer }) => {
  if (ask?.includes(pageId)) channel.post({ answer: pageId });
  if (answer) answeredAt.set(answer, performance.now());
});

/** Ask which of these pages are open in other tabs. A page that the browser has frozen does not answer. */
export async function openPages(ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (!ids.length) return new Set();
  const askedAt = performance.now();
  channel.post({ ask: [...ids] });
  await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
  return new Set([pageId, ...ids.filter((id) => (answeredAt.get(id) ?? 0) >= askedAt)]);
}

/** Store the id of this page for its tab. Returns the id that was stored before. */
function replaceStoredPageId(): string | null {
  try {
    const previous = sessionStorage.getItem(storageName(KEY));
    sessionStorage.setItem(storageName(KEY), pageId);
    return previous;
  } catch {
    return null;
  }
}

import { copies, earlyResponses, type Copy } from '../api/client';
import { readLocal } from '../device/localStorage';
import { ROOT_PATH, storageName } from '../device/rootPath';
import { serverTime } from '../api/serverTime.svelte';
import { session, SESSION_KEY } from '../api/session.svelte';
import { deleteCached, readAllCached, readCached, writeCached } from './database';
import { responseFrom, type ListItem } from './offlineResponses';

const PREFIX = 'copy:';
const READABLE = /^\/(logs|machines|log-types)(\/[^/]+(\/history)?|)$/;
const MAX_COPIES = 300;
const MAX_CHARACTERS = 400_000;
const TRIM_AFTER = 50;
let keptSinceTrim = 0;

// Copies are removed when the user signs out, and another user never sees them.
function prefix(): string {
  const user = session.user?.trigram ?? readLocal<{ user: { trigram: string } | null }>(SESSION_KEY)?.user?.trigram ?? '';
  return `${PREFIX}${user}:`;
}

/** Keep a copy of lists and records. Searches are left out: each key press is one. */
function cacheResponse(request: Request, response: Response): void {
  const url = new URL(request.url);
  const isKept = request.method === 'GET' && READABLE.test(pathOf(url)) && !url.searchParams.has('q') && !url.searchParams.has('cursor');
  // The caller reads the body too.
  if (isKept && session.canRead) void store(url, response.clone());
}

/** The path of the API, without the prefix of a proxy. */
function pathOf({ pathname }: URL): string {
  return pathname.slice(ROOT_PATH.length);
}

async function store(url: URL, response: Response): Promise<void> {
  const body = await response.text().catch(() => '');
  if (!body || body.length > MAX_CHARACTERS) return;
  await writeCached(prefix() + pathOf(url) + url.search, { body, at: serverTime.now() } satisfies Copy);
  keptSinceTrim += 1;
  if (keptSinceTrim >= TRIM_AFTER) await trim();
}

/** Delete the oldest copies. */
async function trim(): Promise<void> {
  keptSinceTrim = 0;
  const all = [...(await readAllCached<Copy>(PREFIX))].sort(([, one], [, other]) => other.at - one.at);
  await deleteCached(all.slice(MAX_COPIES).map(([name]) => name));
}

/** Find the copy of a response, or make one from the records in other copies. */
export async function find(url: string): Promise<Copy | null> {
  const address = new URL(url);
  const pathname = pathOf(address);
  if (!READABLE.test(pathname)) return null;
  const own = prefix();
  const exact = await readCached<Copy>(own + pathname + address.search);
  if (exact) return exact;
  const [resource] = pathname.slice(1).split('/');
  const copies = [...(await readAllCached<Copy>(`${own}/${resource}`))];
  // The entries of a history are not records.
  const all = copies.filter(([name]) => !name.includes('/history')).map(([, copy]) => copy);
  const items = all.sort((one, other) => one.at - other.at).flatMap(({ body }) => itemsOf(JSON.parse(body) as object));
  const response = responseFrom(items, pathname, address.searchParams);
  return response && { body: JSON.stringify(response), at: Math.min(...all.map(({ at }) => at)) };
}

function itemsOf(body: object): ListItem[] {
  return 'items' in body ? (body.items as ListItem[]) : [body as ListItem];
}

/** Delete all copies, and the pictures that the service worker keeps: the user has signed out. */
export async function clear(): Promise<void> {
  await deleteCached([...(await readAllCached(PREFIX)).keys()]);
  // Without https, or where the user forbids storage, there is no such cache.
  await globalThis.caches?.delete(storageName('mm-previews')).catch(() => {});
}

Object.assign(copies, { cacheResponse, find });
session.onSignOut(clear);
for (const [request, response] of earlyResponses.splice(0)) cacheResponse(request, response);

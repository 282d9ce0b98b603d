// The service worker: it caches the files of one build, so that the console opens without network, and the small pictures that it
// has shown. It caches no other responses of the API: data for offline use is in IndexedDB. The build adds the constants FILES and
// BUILD above this code (see plugin.ts).
/* global FILES, BUILD */
const HOME = new URL('./', location).pathname;
// Consoles below other prefixes of the same host share the browser's caches, but not their files.
const SUFFIX = HOME === '/ui/' ? '' : `@${HOME}`;
const CACHE = `mm-${BUILD}${SUFFIX}`;
const ROOT = HOME.slice(0, -'/ui/'.length);
// The console deletes this cache when the user signs out (`copies.ts`), so its name must not change with the build.
const PREVIEWS = 'mm-previews' + (ROOT && `@${ROOT}`);
const MAX_PREVIEWS = 300;
const isOwn = (name) => !name.startsWith('mm-previews') && name.slice(`mm-${BUILD}`.length) === SUFFIX;

self.addEventListener('install', (event) => {
  // The name of an asset changes with its content, so a copy in the HTTP cache is current. Other files must be revalidated.
  const requests = FILES.map((file) => new Request(file, { cache: file.startsWith('assets/') ? 'default' : 'no-cache' }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

self.addEventListener('activate', (event) => {
  const deleteOldCaches = async () => {
    for (const name of await caches.keys()) if (name !== CACHE && isOwn(name)) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(deleteOldCaches());
});

// A new worker waits until a page sends this message, because open pages still load files of their own build. A page of one build
// sends it to the worker of the next, so the text 'take over' must never change.
self.addEventListener('message', (event) => {
  if (event.data === 'take over') void self.skipWaiting();
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname, search } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  if (pathname.startsWith(`${ROOT}/attachments/`) && search === '?size=320') return event.respondWith(fetchPreview(event));
  if (!pathname.startsWith(HOME)) return;
  const file = request.mode === 'navigate' ? HOME : pathname;
  const respond = async () => (await (await caches.open(CACHE)).match(file)) ?? fetch(request);
  event.respondWith(respond());
});

/** Fetch a small picture and keep it; without network, respond with the kept one. */
async function fetchPreview(event) {
  const { request } = event;
  try {
    const response = await fetch(request);
    if (response.ok) event.waitUntil(keepPreview(request, response.clone()));
    return response;
  } catch (error) {
    const kept = await (await caches.open(PREVIEWS)).match(request);
    if (!kept) throw error;
    return kept;
  }
}

/** Keep a small picture in place of the oldest one. An attachment never changes, so a picture is kept only once. */
async function keepPreview(request, response) {
  const cache = await caches.open(PREVIEWS);
  if (await cache.match(request)) return;
  await cache.put(request, response);
  const kept = await cache.keys();
  for (const oldest of kept.slice(0, -MAX_PREVIEWS)) await cache.delete(oldest);
}

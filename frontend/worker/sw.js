// The service worker: it caches the files of one build, so that the console opens without network. It never caches responses of
// the API: data for offline use is in IndexedDB. The build adds the constants FILES and BUILD above this code (see plugin.ts).
/* global FILES, BUILD */
const HOME = new URL('./', location).pathname;
// Consoles below other prefixes of the same host share the browser's caches, but not their files.
const SUFFIX = HOME === '/ui/' ? '' : `@${HOME}`;
const CACHE = `mm-${BUILD}${SUFFIX}`;
const isOwn = (name) => name.slice(`mm-${BUILD}`.length) === SUFFIX;

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
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin || !pathname.startsWith(HOME)) return;
  const file = request.mode === 'navigate' ? HOME : pathname;
  const respond = async () => (await (await caches.open(CACHE)).match(file)) ?? fetch(request);
  event.respondWith(respond());
});

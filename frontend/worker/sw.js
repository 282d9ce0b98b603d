// Keeps the files of one build, so that the console opens without a network. The build puts FILES and BUILD before this.
// Answers of the API are never kept here: what is known offline is in IndexedDB.
/* global FILES, BUILD */
const CACHE = `mm-${BUILD}`;

self.addEventListener('install', (event) => {
  const wanted = FILES.map((file) => new Request(file, { cache: file.includes('/assets/') ? 'default' : 'no-cache' }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(wanted)));
});

self.addEventListener('activate', (event) => {
  const tidy = async () => {
    for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(tidy());
});

// A newer build waits until a page asks for it: the pages that are open still need the files of theirs.
self.addEventListener('message', (event) => {
  if (event.data === 'take over') void self.skipWaiting();
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin || !pathname.startsWith('/ui/')) return;
  const file = request.mode === 'navigate' ? '/ui/' : pathname;
  const answer = async () => (await (await caches.open(CACHE)).match(file)) ?? fetch(request);
  event.respondWith(answer());
});

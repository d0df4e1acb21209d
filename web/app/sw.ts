/**
 * The service worker.
 *
 * Files of this version are stored as they are asked for, and all of them once the page says so; then it works without
 * a connection. Every answer gets the headers that isolate the page, which shared memory and so threads need. A newer
 * version waits until no page of this one is open, so that a page and its engine always belong together.
 */
export type {}; // a module of its own, with a worker's globals

declare const self: ServiceWorkerGlobalScope;

/** Every file of the page, and a name for just this set: the build fills both in. */
declare const __FILES__: readonly string[];
declare const __VERSION__: string;

const SCOPE = new URL(self.registration.scope);
const STORE = `cleanplate-${__VERSION__}@${SCOPE.pathname}`;

self.addEventListener("install", () => {
  if (!self.registration.active) void self.skipWaiting();
});

self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

self.addEventListener("message", (event) => {
  const { store, webgpu } = event.data as { store?: string; webgpu?: boolean };
  if (store === "everything") event.waitUntil(storeEverything(webgpu === true));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  // Answers of a service that the page is served by are never stored.
  if (request.url.startsWith(new URL("v1/", SCOPE).href)) return;
  // Parts of files are left to the browser's own cache.
  if (request.method !== "GET" || !request.url.startsWith(SCOPE.href) || request.headers.has("range")) return;
  event.respondWith(answer(request));
});

async function takeOver(): Promise<void> {
  // Another copy of the page on this host has another scope at the end of its stores' names.
  const mine = (name: string) => name.startsWith("cleanplate-") && name.endsWith(`@${SCOPE.pathname}`);
  const names = await caches.keys();
  await Promise.all(names.filter((name) => mine(name) && name !== STORE).map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const store = await caches.open(STORE);
  // The page's address may have parameters (?backend=wasm), which are not part of the file's name.
  const key = request.mode === "navigate" && isPage(new URL(request.url)) ? SCOPE.href : request;
  const stored = await store.match(key);
  if (stored) return isolate(stored);
  const fresh = await fetch(request);
  if (fresh.status === 200) void keep(store, key, fresh.clone());
  return isolate(fresh);
}

function isPage({ pathname }: URL): boolean {
  return pathname === SCOPE.pathname || pathname === `${SCOPE.pathname}index.html`;
}

/** Stores all missing files; those for GPUs only on a device with a GPU. */
async function storeEverything(webgpu: boolean): Promise<void> {
  const store = await caches.open(STORE);
  for (const path of __FILES__) {
    if (path.includes("webgpu") && !webgpu) continue;
    const url = new URL(path, SCOPE).href;
    if (await store.match(url)) continue;
    const response = await fetch(url).catch(() => undefined);
    if (response?.status === 200) await keep(store, url, response);
  }
}

/** Stores an answer; without room for it, the file is loaded over the connection each time. */
function keep(store: Cache, key: RequestInfo, response: Response): Promise<void> {
  return store.put(key, response).catch(() => undefined);
}

function isolate(response: Response): Response {
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}

/** The service worker: isolation headers where the host sets none, and the page without a connection. */
const RELOADED = "cleanplate-reloaded";

/**
 * Registers it. Where the host does not isolate the page, which threads need, the page is loaded once more as soon
 * as the service worker can add the headers.
 *
 * @returns Whether the page is about to be loaded again.
 */
export async function goOffline(): Promise<boolean> {
  if (!("serviceWorker" in navigator) || !isSecureContext) return false;
  try {
    await navigator.serviceWorker.register(new URL("sw.js", document.baseURI), { type: "module" });
    if (crossOriginIsolated || sessionStorage.getItem(RELOADED)) return false;
    await waitForController();
    sessionStorage.setItem(RELOADED, "yes");
    location.reload();
    return true;
  } catch {
    return false; // private windows may refuse it; one thread and a connection do
  }
}

/** Stores every file of the page, after the visible ones are loaded. */
export async function storeEverything(): Promise<void> {
  const registration = await navigator.serviceWorker?.ready.catch(() => undefined);
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  registration?.active?.postMessage({
    store: "everything",
    webgpu: Boolean(adapter && !adapter.info.isFallbackAdapter),
  });
}

function waitForController(): Promise<void> {
  return new Promise((resolve, reject) => {
    if (navigator.serviceWorker.controller) return resolve();
    navigator.serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true });
    setTimeout(() => reject(new Error("the service worker does not start")), 5000);
  });
}

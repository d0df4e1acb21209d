/** The page's one keyer, loaded once. */
import { type Backend, createKeyer, type Keyer } from "../engine/index.js";
import { element } from "./dom.js";
import { say } from "./messages.js";

let loading: Promise<Keyer> | undefined;

/** The keyer; the first call loads it, and one after a failure tries again. */
export function getKeyer(): Promise<Keyer> {
  loading ??= load().catch((error) => {
    loading = undefined;
    say("");
    throw error;
  });
  return loading;
}

async function load(): Promise<Keyer> {
  const began = performance.now();
  const keyer = await createKeyer({
    modelUrl: new URL("engine/", document.baseURI),
    backend: wantedBackend(),
    onProgress: (loaded, total) => {
      // Loading from the cache needs no message.
      if (performance.now() - began > 700) {
        say(`Loading the network, once: ${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`);
      }
    },
  });
  say("");
  const cores = `${keyer.threads} processor ${keyer.threads === 1 ? "thread" : "threads"}`;
  const where = keyer.backend === "webgpu" ? "the graphics processor (WebGPU)" : `${cores} (WebAssembly${gpuRemark()})`;
  element("engine-facts", HTMLElement).textContent =
    `The network (${keyer.model}) runs in this page, on ${where}. After the first visit it works without a connection.`;
  document.documentElement.dataset.engine = keyer.backend;
  return keyer;
}

function gpuRemark(): string {
  return "gpu" in navigator ? "" : "; this browser has no WebGPU";
}

/** `?backend=wasm` or `webgpu` in the address forces one, to compare. */
function wantedBackend(): Backend | "auto" {
  const wish = new URLSearchParams(location.search).get("backend");
  return wish === "wasm" || wish === "webgpu" ? wish : "auto";
}

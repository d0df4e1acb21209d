/** Addresses of the package's files for bundlers. */
import type { EngineFiles } from "./files.js";

/** The files beside this module. Bundlers find each expression, copy its file and put the copy's address in its place. */
export function filesBeside(): EngineFiles {
  return {
    worker: new URL("./worker.js", import.meta.url).href,
    record: new URL("./engine.json", import.meta.url).href,
    coarse: new URL("./lite.coarse.onnx", import.meta.url).href,
    refiner: new URL("./lite.refiner.onnx", import.meta.url).href,
    wasmModule: new URL("./ort.wasm.mjs", import.meta.url).href,
    wasm: new URL("./ort.wasm.wasm.gz", import.meta.url).href,
    webgpuModule: new URL("./ort.webgpu.mjs", import.meta.url).href,
    webgpu: new URL("./ort.webgpu.wasm.gz", import.meta.url).href,
  };
}

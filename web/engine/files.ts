/** Addresses of the files that the worker loads. */

/** Absolute addresses. */
export interface EngineFiles {
  readonly worker: string;
  /** The model's record, JSON. */
  readonly record: string;
  readonly coarse: string;
  readonly refiner: string;
  /** ONNX Runtime for the processor: its module, and its code, packed with gzip or not. */
  readonly wasmModule: string;
  readonly wasm: string;
  /** Likewise, with WebGPU. */
  readonly webgpuModule: string;
  readonly webgpu: string;
}

/** The files in a folder, under the names of the package. */
export function filesIn(folder: URL): EngineFiles {
  const find = (name: string): string => new URL(name, folder.href.replace(/\/?$/, "/")).href;
  return {
    worker: find("worker.js"),
    record: find("engine.json"),
    coarse: find("lite.coarse.onnx"),
    refiner: find("lite.refiner.onnx"),
    wasmModule: find("ort.wasm.mjs"),
    wasm: find("ort.wasm.wasm.gz"),
    webgpuModule: find("ort.webgpu.mjs"),
    webgpu: find("ort.webgpu.wasm.gz"),
  };
}

/** The model's two networks in ONNX Runtime, on the GPU where that is faster and gives the same numbers. */
import type * as Ort from "onnxruntime-web";
import { CleanplateError } from "./errors.js";
import { type ModelRecord, supports } from "./model.js";
import { type Maps, makeMaps, type Size } from "./picture.js";
import type { Coarse, Windows } from "./router/windows.js";

export type Backend = "wasm" | "webgpu";

export interface NetworkOptions {
  /** Folder of the engine's files, with a slash at its end. */
  readonly modelUrl: string;
  readonly backend: Backend | "auto";
  readonly threads: number;
  /** Bytes that have arrived, of all that are expected. */
  readonly onProgress: (loaded: number, total: number) => void;
}

/** What `engine.json` beside the model says: the build writes it. */
interface EngineRecord {
  readonly model: ModelRecord;
  /** Sizes as transferred, by file name. */
  readonly files: Record<string, number>;
}

export interface Networks {
  readonly record: ModelRecord;
  readonly backend: Backend;
  readonly threads: number;
  coarse(source: Maps, plate: Maps): Promise<Coarse>;
  refine(windows: Windows, count: number): Promise<Float32Array>;
  close(): Promise<void>;
}

const COARSE_FILE = "lite.coarse.onnx";
const REFINER_FILE = "lite.refiner.onnx";

/** How much the GPU's alpha may differ from the processor's. */
const TOLERANCE = 2e-3;

interface Sessions {
  readonly coarse: Ort.InferenceSession;
  readonly refiner: Ort.InferenceSession;
}

export async function loadNetworks(options: NetworkOptions): Promise<Networks> {
  const { record, fetchFile } = await openFolder(options);
  const wantsGpu = options.backend !== "wasm" && (await hasGpu(options.backend));
  const library = wantsGpu ? "webgpu" : "wasm";
  const [ort, wasm, coarse, refiner] = await Promise.all([
    wantsGpu ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm"),
    fetchFile(`ort.${library}.wasm.gz`),
    fetchFile(COARSE_FILE),
    fetchFile(REFINER_FILE),
  ]);
  ort.env.wasm.wasmBinary = wasm.buffer as ArrayBuffer;
  ort.env.wasm.wasmPaths = { mjs: new URL(`ort.${library}.mjs`, options.modelUrl).href };
  ort.env.wasm.numThreads = options.threads;
  ort.env.logLevel = "fatal";
  const open = async (provider: Backend): Promise<Sessions> => {
    const how: Ort.InferenceSession.SessionOptions = {
      executionProviders: [provider],
      graphOptimizationLevel: "all",
      enableMemPattern: false, // sizes change with every frame's tiles
    };
    try {
      return {
        coarse: await ort.InferenceSession.create(coarse, how),
        refiner: await ort.InferenceSession.create(refiner, how),
      };
    } catch (error) {
      throw new CleanplateError("model", `The model could not be started: ${error}`, "Reload the page.");
    }
  };
  const onCpu = await open("wasm");
  const make = (sessions: Sessions, backend: Backend): Networks =>
    bind(ort, sessions, record, backend, options.threads);
  const cpu = make(onCpu, "wasm");
  if (!wantsGpu) return cpu;
  let gpu: Networks | undefined;
  try {
    gpu = make(await open("webgpu"), "webgpu");
    if (await isBetter(gpu, cpu, options.backend === "webgpu")) {
      await cpu.close();
      return gpu;
    }
  } catch {
    // A driver that fails at this is no loss: the processor does the same.
  }
  await gpu?.close().catch(() => undefined);
  return cpu;
}

async function openFolder({ modelUrl, onProgress }: NetworkOptions) {
  const { model, files } = (await fetchOrThrow(new URL("engine.json", modelUrl)).then((r) => r.json())) as EngineRecord;
  if (!supports(model)) {
    throw new CleanplateError("model", `The engine cannot run the model '${model.name}'.`, "Build both together.");
  }
  let loaded = 0;
  let total = 0;
  const fetchFile = async (name: string): Promise<Uint8Array> => {
    total += files[name] ?? 0;
    const response = await fetchOrThrow(new URL(name, modelUrl));
    const chunks: Uint8Array[] = [];
    const reader = response.body!.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      chunks.push(next.value);
      loaded += next.value.length;
      onProgress(Math.min(loaded, total), total);
    }
    return unzip(await new Blob(chunks as BlobPart[]).arrayBuffer());
  };
  return { record: model, fetchFile };
}

async function fetchOrThrow(url: URL): Promise<Response> {
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok) {
    const what = response ? `the host answers ${response.status}` : "there is no connection";
    throw new CleanplateError("model", `${url.pathname} cannot be loaded: ${what}.`, "Reload the page.");
  }
  return response;
}

/** Unpacks gzip, unless the host has declared it as an encoding and the browser has unpacked it already. */
async function unzip(bytes: ArrayBuffer): Promise<Uint8Array> {
  const view = new Uint8Array(bytes);
  if (view[0] !== 0x1f || view[1] !== 0x8b) return view;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Whether there is a GPU; one that the processor plays counts only where it was asked for. */
async function hasGpu(wish: NetworkOptions["backend"]): Promise<boolean> {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter && (wish === "webgpu" || !adapter.info?.isFallbackAdapter));
}

function bind(ort: typeof Ort, sessions: Sessions, record: ModelRecord, backend: Backend, threads: number): Networks {
  const tensor = ({ data }: { data: Float32Array }, shape: number[]) => new ort.Tensor("float32", data, shape);
  const toMaps = (output: Ort.Tensor): Maps => {
    const [, channels, height, width] = output.dims as [number, number, number, number];
    return { channels, height, width, data: output.data as Float32Array };
  };
  return {
    record,
    backend,
    threads,
    async coarse(source, plate) {
      const outputs = await sessions.coarse.run({
        source: tensor(source, [1, source.channels, source.height, source.width]),
        plate: tensor(plate, [1, plate.channels, plate.height, plate.width]),
      });
      return {
        alpha: toMaps(outputs.alpha!),
        residual: toMaps(outputs.residual!),
        error: toMaps(outputs.error!),
        hidden: toMaps(outputs.hidden!),
      };
    },
    async refine({ half, full, halfSide, fullSide }, count) {
      const channels = record.hidden_channels + 10;
      const outputs = await sessions.refiner.run({
        half: tensor({ data: half }, [count, channels, halfSide, halfSide]),
        full: tensor({ data: full }, [count, 6, fullSide, fullSide]),
      });
      return outputs.refined!.data as Float32Array;
    },
    async close() {
      await sessions.coarse.release();
      await sessions.refiner.release();
    },
  };
}

/** Whether the GPU gives the processor's numbers, and sooner; `asked` for, it need not be sooner. */
async function isBetter(gpu: Networks, cpu: Networks, asked: boolean): Promise<boolean> {
  const size = { height: 240, width: 432 };
  const [source, plate] = [texture(3, size), texture(4, size)];
  const run = async (networks: Networks) => {
    const { alpha } = await networks.coarse(source, plate);
    const began = performance.now();
    await networks.coarse(source, plate);
    return { alpha: alpha.data, milliseconds: performance.now() - began };
  };
  const [there, here] = [await run(gpu), await run(cpu)];
  const same = there.alpha.every((value, i) => Math.abs(value - here.alpha[i]!) < TOLERANCE);
  return same && (asked || there.milliseconds < here.milliseconds);
}

/** A plain wall, the fourth channel 1; the source with something before it. */
function texture(channels: number, { height, width }: Size): Maps {
  const maps = makeMaps(channels, height, width);
  for (let i = 0; i < maps.data.length; i++) {
    const x = i % width;
    const y = Math.floor(i / width) % height;
    const subject = channels === 3 && Math.hypot(x - width / 2, y - height / 2) < height / 3;
    maps.data[i] = i >= 3 * height * width ? 1 : subject ? 0.8 : 0.3 + 0.1 * Math.sin(x / 9 + y / 5);
  }
  return maps;
}

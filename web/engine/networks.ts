/** The model's two networks in ONNX Runtime, each on the GPU where that is faster and gives the same numbers. */
import type * as Ort from "onnxruntime-web";
import { CleanplateError } from "./errors.js";
import type { EngineFiles } from "./files.js";
import { type ModelRecord, supports } from "./model.js";
import { type Maps, makeMaps, type Size } from "./picture.js";
import { type Coarse, type Windows, windowSides } from "./router/windows.js";

export type Backend = "wasm" | "webgpu";

export interface NetworkOptions {
  readonly files: EngineFiles;
  readonly backend: Backend | "auto";
  readonly threads: number;
  /** Received bytes, and expected bytes in all. */
  readonly onProgress: (loaded: number, total: number) => void;
}

/** Content of `engine.json` beside the model, which the build writes. */
interface EngineRecord {
  readonly model: ModelRecord;
  /** Sizes as transferred. */
  readonly bytes: Partial<Record<keyof EngineFiles, number>>;
}

export interface Networks {
  readonly record: ModelRecord;
  readonly backend: Backend;
  readonly threads: number;
  coarse(source: Maps, plate: Maps): Promise<Coarse>;
  refine(windows: Windows, count: number): Promise<Float32Array>;
}

/** Largest difference of the GPU's numbers from the processor's. */
const TOLERANCE = 1e-3;

type CoarseNetwork = Networks["coarse"];
type RefinerNetwork = Networks["refine"];

export async function loadNetworks(options: NetworkOptions): Promise<Networks> {
  const { record, fetchFile } = await openFiles(options);
  const wantsGpu = options.backend !== "wasm" && (await hasGpu(options.backend));
  const library = wantsGpu ? "webgpu" : "wasm";
  const [ort, wasm, coarseFile, refinerFile] = await Promise.all([
    wantsGpu ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm"),
    fetchFile(library),
    fetchFile("coarse"),
    fetchFile("refiner"),
  ]);
  ort.env.wasm.wasmBinary = wasm.buffer as ArrayBuffer;
  ort.env.wasm.wasmPaths = { mjs: options.files[`${library}Module`] };
  ort.env.wasm.numThreads = options.threads;
  ort.env.logLevel = "fatal";
  const open = (file: Uint8Array, provider: Backend) =>
    ort.InferenceSession.create(file, {
      executionProviders: [provider],
      graphOptimizationLevel: "all",
      enableMemPattern: false, // sizes change with every frame's tiles
    });
  let coarse: CoarseNetwork;
  let refine: RefinerNetwork;
  let backend: Backend = "wasm";
  try {
    coarse = runCoarse(ort, await open(coarseFile, "wasm"));
    refine = runRefiner(ort, await open(refinerFile, "wasm"), record);
  } catch (error) {
    throw new CleanplateError("model", `The model could not be started: ${error}`, "Reload the page.");
  }
  if (wantsGpu) {
    // Each network separately: a GPU that is wrong for one may be right for the other.
    const asked = options.backend === "webgpu";
    const openCoarse = async () => runCoarse(ort, await open(coarseFile, "webgpu"));
    const chosen = await chooseFaster(openCoarse, coarse, tryCoarse, asked);
    if (chosen !== coarse) [coarse, backend] = [chosen, "webgpu"];
    const openRefiner = async () => runRefiner(ort, await open(refinerFile, "webgpu"), record);
    refine = await chooseFaster(openRefiner, refine, (network) => tryRefiner(network, record), asked);
  }
  return { record, backend, threads: options.threads, coarse, refine };
}

async function openFiles({ files, onProgress }: NetworkOptions) {
  const { model, bytes } = (await fetchOrThrow(files.record).then((r) => r.json())) as EngineRecord;
  if (!supports(model)) {
    throw new CleanplateError("model", `The engine cannot run the model '${model.name}'.`, "Build both together.");
  }
  let loaded = 0;
  let total = 0;
  const fetchFile = async (name: keyof EngineFiles): Promise<Uint8Array> => {
    total += bytes[name] ?? 0;
    const response = await fetchOrThrow(files[name]);
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

async function fetchOrThrow(url: string): Promise<Response> {
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok) {
    const what = response ? `the host answers ${response.status}` : "there is no connection";
    throw new CleanplateError("model", `${new URL(url).pathname} cannot be loaded: ${what}.`, "Reload the page.");
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

/** Tells whether there is a GPU; a software one counts only on request. */
async function hasGpu(wish: NetworkOptions["backend"]): Promise<boolean> {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter && (wish === "webgpu" || !adapter.info?.isFallbackAdapter));
}

function runCoarse(ort: typeof Ort, session: Ort.InferenceSession): CoarseNetwork {
  const tensor = ({ channels, height, width, data }: Maps) =>
    new ort.Tensor("float32", data, [1, channels, height, width]);
  const toMaps = (output: Ort.Tensor): Maps => {
    const [, channels, height, width] = output.dims as [number, number, number, number];
    return { channels, height, width, data: output.data as Float32Array };
  };
  return async (source, plate) => {
    const outputs = await session.run({ source: tensor(source), plate: tensor(plate) });
    return {
      alpha: toMaps(outputs.alpha!),
      residual: toMaps(outputs.residual!),
      error: toMaps(outputs.error!),
      hidden: toMaps(outputs.hidden!),
    };
  };
}

function runRefiner(ort: typeof Ort, session: Ort.InferenceSession, record: ModelRecord): RefinerNetwork {
  const channels = record.hidden_channels + 10;
  return async ({ half, full, halfSide, fullSide }, count) => {
    const outputs = await session.run({
      half: new ort.Tensor("float32", half, [count, channels, halfSide, halfSide]),
      full: new ort.Tensor("float32", full, [count, 6, fullSide, fullSide]),
    });
    return outputs.refined!.data as Float32Array;
  };
}

/** Gives the GPU's network if its numbers agree with the processor's and it is faster; if `asked` for, it may be slower. */
async function chooseFaster<Network>(
  openGpu: () => Promise<Network>,
  cpu: Network,
  attempt: (network: Network) => Promise<Float32Array>,
  asked: boolean,
): Promise<Network> {
  const run = async (network: Network) => {
    const values = await attempt(network); // shaders are compiled in the first run
    const began = performance.now();
    await attempt(network);
    return { values, milliseconds: performance.now() - began };
  };
  try {
    const gpu = await openGpu();
    const [there, here] = [await run(gpu), await run(cpu)];
    const same = there.values.every((value, i) => Math.abs(value - here.values[i]!) < TOLERANCE);
    return same && (asked || there.milliseconds < here.milliseconds) ? gpu : cpu;
  } catch {
    return cpu; // a driver that fails at this is no loss: the processor does the same
  }
}

async function tryCoarse(network: CoarseNetwork): Promise<Float32Array> {
  const size = { height: 240, width: 432 };
  const { alpha, hidden } = await network(texture(3, size), texture(4, size));
  const values = new Float32Array(2 * alpha.data.length);
  values.set(alpha.data);
  values.set(hidden.data.subarray(0, alpha.data.length), alpha.data.length);
  return values;
}

async function tryRefiner(network: RefinerNetwork, record: ModelRecord): Promise<Float32Array> {
  const [count, side] = [32, 16];
  const { halfSide, fullSide } = windowSides(side);
  const fill = (length: number) => Float32Array.from({ length }, (_, i) => 0.5 + 0.5 * Math.sin(i * i));
  const half = fill(count * (record.hidden_channels + 10) * halfSide ** 2);
  return network({ half, full: fill(count * 6 * fullSide ** 2), halfSide, fullSide }, count);
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

/** The engine's worker: loads the networks, holds shots, keys frames one after another. */
import { CleanplateError, isOutOfMemory, outOfMemory } from "./errors.js";
import { loadNetworks, type Networks } from "./networks.js";
import type { Picture } from "./picture.js";
import { receive, show } from "./pixels.js";
import type { Answer, KeyOrder, OpenOrder, Order, Result, Started, StartOrder } from "./protocol.js";
import { type Keyed, Shot } from "./shot.js";
import { VideoHandler } from "./video/video_handler.js";

let networks: Networks | undefined;
const shots = new Map<number, Shot>();

/** Requests are executed in order: the networks take one input at a time. */
let queue: Promise<unknown> = Promise.resolve();

const videos = new VideoHandler(
  () => networks!,
  enqueue,
  (video, state) => post({ video, state }),
);

self.onmessage = ({ data: { id, order } }: MessageEvent<{ id: number; order: Order }>) => {
  if (order.kind === "video stream") void handle(id, order);
  else void enqueue(() => handle(id, order));
};

function enqueue<T>(task: () => Promise<T>): Promise<T> {
  const done = queue.then(task);
  queue = done.catch(() => undefined);
  return done;
}

async function handle(id: number, order: Order): Promise<void> {
  try {
    const { result, transfer = [] } = await carryOut(order);
    post({ id, result }, transfer);
  } catch (failure) {
    const error = explain(failure, order);
    post({ id, error: { code: error.code, message: error.message, hint: error.hint } });
  }
}

function post(answer: Answer, transfer: Transferable[] = []): void {
  self.postMessage(answer, { transfer });
}

interface Outcome {
  readonly result: Result;
  /** Parts of the result that are transferred rather than copied. */
  readonly transfer?: Transferable[];
}

async function carryOut(order: Order): Promise<Outcome> {
  switch (order.kind) {
    case "start":
      return { result: await start(order) };
    case "open":
      shots.set(order.shot, new Shot(networks!, receive(order.plate), order.options, receiveHint(order)));
      return { result: undefined };
    case "key":
      return key(order);
    case "close":
      shots.delete(order.shot);
      return { result: undefined };
    case "video stream":
      await videos.stream(order);
      return { result: undefined };
    default: {
      const result = await videos.handle(order);
      return { result, transfer: result ? ["pixels" in result ? result.pixels.buffer : result] : [] };
    }
  }
}

async function start(order: StartOrder): Promise<Started> {
  networks = await loadNetworks({
    ...order,
    onProgress: (loaded, total) => post({ progress: [loaded, total] }),
  });
  const { record, backend, threads } = networks;
  return { backend, threads, model: `${record.name} ${record.version}` };
}

async function key(order: KeyOrder): Promise<Outcome> {
  const began = performance.now();
  const shot = shots.get(order.shot);
  if (!shot) throw new CleanplateError("closed", "The shot was closed.");
  const keyed = await shot.key(receive(order.frame), { hint: receiveHint(order), seconds: order.seconds });
  const { width, height } = keyed.cutout;
  const about = { width, height, fit: keyed.fit, changed: keyed.changed };
  if (order.want === "bitmap") {
    const bitmap = show(keyed.cutout);
    return { result: { ...about, bitmap, milliseconds: performance.now() - began }, transfer: [bitmap] };
  }
  const pixels = new Uint8ClampedArray(keyed.cutout.data);
  const transfer: Transferable[] = [pixels.buffer];
  const alpha = order.want === "pixels and alpha" ? copyAlpha(keyed) : undefined;
  if (alpha) transfer.push(alpha.buffer);
  const milliseconds = performance.now() - began;
  return { result: { ...about, pixels, ...(alpha && { alpha }), milliseconds }, transfer };
}

function receiveHint({ hint }: OpenOrder | KeyOrder): Picture | undefined {
  return hint && receive(hint);
}

function copyAlpha({ alpha, alphaStride, cutout: { width, height } }: Keyed): Float32Array<ArrayBuffer> {
  const copy = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    copy.set(alpha.subarray(y * alphaStride, y * alphaStride + width), y * width);
  }
  return copy;
}

function explain(failure: unknown, order: Order): CleanplateError {
  if (failure instanceof CleanplateError) return failure;
  if (isOutOfMemory(failure) && order.kind !== "start") {
    const sent = "frame" in order ? order.frame : order.kind === "open" ? order.plate : undefined;
    const [width, height] = sent && "width" in sent ? [sent.width, sent.height] : [];
    return outOfMemory(width, height);
  }
  return new CleanplateError("model", `The engine failed: ${failure}`, "Reload the page.");
}

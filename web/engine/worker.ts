/** The engine's worker: loads the networks, holds shots, keys frames one after another. */
import { CleanplateError, isOutOfMemory, outOfMemory } from "./errors.js";
import { loadNetworks, type Networks } from "./networks.js";
import type { Picture } from "./picture.js";
import type { Answer, KeyedResult, KeyOrder, Order, Sent, Started, StartOrder } from "./protocol.js";
import { type Keyed, Shot } from "./shot.js";

let networks: Networks | undefined;
const shots = new Map<number, Shot>();
let reading: OffscreenCanvas | undefined;
let showing: OffscreenCanvas | undefined;

/** Requests are executed in order: the networks take one input at a time. */
let queue: Promise<unknown> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<{ id: number; order: Order }>) => {
  queue = queue.then(() => handle(data.id, data.order));
};

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
  readonly result: Started | KeyedResult | undefined;
  /** Parts of the result that are transferred rather than copied. */
  readonly transfer?: Transferable[];
}

async function carryOut(order: Order): Promise<Outcome> {
  switch (order.kind) {
    case "start":
      return { result: await start(order) };
    case "open":
      shots.set(order.shot, new Shot(networks!, receive(order.plate), order.options));
      return { result: undefined };
    case "key":
      return key(order);
    case "close":
      shots.delete(order.shot);
      return { result: undefined };
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
  const keyed = await shot.key(receive(order.frame));
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

/** Reads the pixels of a sent picture; drawn ones go through a reused canvas. */
function receive(sent: Sent): Picture {
  if ("data" in sent) return sent;
  const [width, height] = "displayWidth" in sent ? [sent.displayWidth, sent.displayHeight] : [sent.width, sent.height];
  try {
    if (reading?.width !== width || reading.height !== height) reading = new OffscreenCanvas(width, height);
    const context = reading.getContext("2d", { willReadFrequently: true });
    if (!context) throw outOfMemory(width, height);
    context.drawImage(sent, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  } finally {
    sent.close();
  }
}

function show(picture: Picture): ImageBitmap {
  const { width, height, data } = picture;
  if (showing?.width !== width || showing.height !== height) showing = new OffscreenCanvas(width, height);
  showing.getContext("2d")!.putImageData(new ImageData(data, width, height), 0, 0);
  return showing.transferToImageBitmap();
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
    const sent = order.kind === "key" ? order.frame : order.kind === "open" ? order.plate : undefined;
    const [width, height] = sent && "width" in sent ? [sent.width, sent.height] : [];
    return outOfMemory(width, height);
  }
  return new CleanplateError("model", `The engine failed: ${failure}`, "Reload the page.");
}

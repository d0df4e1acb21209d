/**
 * cleanplate in a web page: cuts the subject out of pictures with a picture of the empty set, on the visitor's device.
 *
 * ```ts
 * const keyer = await createKeyer();
 * const { cutout } = await keyer.key(photo, plate); // ImageData: straight RGBA
 * ```
 */
import { CleanplateError, isOutOfMemory, outOfMemory } from "./errors.js";
import type { Quality } from "./layout.js";
import type { Backend } from "./networks.js";
import type { Fit } from "./plate/fit.js";
import type { Answer, KeyedResult, KeyOrder, Order, Sent, Started } from "./protocol.js";
import type { ShotOptions } from "./shot.js";

export { CleanplateError, type ErrorCode } from "./errors.js";
export type { Backend, Fit, Quality };

/** Picture in any form that a browser can draw. Other files are refused with a {@link CleanplateError}. */
export type Source =
  | Blob
  | ImageData
  | ImageBitmap
  | VideoFrame
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas;

export interface KeyerOptions {
  /** Folder with the engine's files (`worker.js`, the model, ONNX Runtime), on this page's origin. By default the module's own. */
  readonly modelUrl?: string | URL;
  /** `auto` measures both if the browser can use a GPU, and takes the faster one. */
  readonly backend?: Backend | "auto";
  /** CPU threads; more than one work only on a cross-origin isolated page. */
  readonly threads?: number;
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
}

export interface ShotSettings {
  /** `live` for real time, `fine` (the default) for half as much again of each side. */
  readonly quality?: Quality;
  /**
   * Whether the plate is registered and exposure-matched to the first frame (default:
   * true). Otherwise it is used as it is, and is unknown where it is transparent.
   */
  readonly fit?: boolean;
  /** Whether slow changes of the light are followed from frame to frame (default: false). */
  readonly follow?: boolean;
}

export interface Matte {
  /** Straight RGBA at the source's size: the subject's own colour, and alpha. */
  readonly cutout: ImageData;
  /** Alpha from 0 to 1 before rounding, from {@link Shot.keyExactly} only. */
  readonly alpha?: Float32Array;
  readonly fit: Fit;
  /** Share of the picture that the subject covers. */
  readonly changed: number;
  /** Time of the engine for this picture. */
  readonly milliseconds: number;
}

/** A matte to be drawn: the caller closes its bitmap. */
export interface DrawnMatte extends Omit<Matte, "cutout" | "alpha"> {
  readonly bitmap: ImageBitmap;
  readonly width: number;
  readonly height: number;
}

/** Frames that share a plate and a camera position. */
export interface Shot {
  key(frame: Source): Promise<Matte>;
  /** Like `key`, with alpha before rounding. */
  keyExactly(frame: Source): Promise<Matte>;
  /** Like `key`, cheaper: for canvases. */
  draw(frame: Source): Promise<DrawnMatte>;
  close(): void;
}

export interface Keyer {
  readonly backend: Backend;
  readonly threads: number;
  /** Name and version. */
  readonly model: string;
  /** Cuts one picture out. */
  key(source: Source, plate: Source, settings?: ShotSettings): Promise<Matte>;
  /** For many frames of one plate. */
  open(plate: Source, settings?: ShotSettings): Promise<Shot>;
  /** Ends the worker; requests in progress are rejected. */
  close(): void;
}

const MOST_THREADS = 4;

/** Loads the engine; throws a {@link CleanplateError} if its files cannot be loaded. */
export async function createKeyer(options: KeyerOptions = {}): Promise<Keyer> {
  const here = import.meta.url;
  const folder = new URL(options.modelUrl ?? "./", options.modelUrl ? document.baseURI : here);
  const modelUrl = folder.href.replace(/\/?$/, "/");
  const talk = new Conversation(new URL("worker.js", modelUrl), options.onProgress);
  const isolated = globalThis.crossOriginIsolated === true;
  const threads = isolated ? (options.threads ?? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1)) : 1;
  const about = await talk
    .say<Started>({ kind: "start", modelUrl, backend: options.backend ?? "auto", threads })
    .catch((error) => {
      talk.end();
      throw error;
    });
  return new WorkerKeyer(talk, about);
}

class WorkerKeyer implements Keyer {
  private static shots = 0;

  constructor(
    private readonly talk: Conversation,
    private readonly about: Started,
  ) {}

  get backend(): Backend {
    return this.about.backend;
  }

  get threads(): number {
    return this.about.threads;
  }

  get model(): string {
    return this.about.model;
  }

  async key(source: Source, plate: Source, settings?: ShotSettings): Promise<Matte> {
    const shot = await this.open(plate, settings);
    return shot.key(source).finally(() => shot.close());
  }

  async open(plate: Source, settings: ShotSettings = {}): Promise<Shot> {
    const { talk } = this;
    const shot = ++WorkerKeyer.shots;
    const options: ShotOptions = { quality: "fine", fit: true, follow: false, ...settings };
    const sent = await send(plate);
    await talk.say({ kind: "open", shot, plate: sent.picture, options }, sent.transfer);
    const ask = async (frame: Source, want: KeyOrder["want"]): Promise<KeyedResult> => {
      const { picture, transfer } = await send(frame);
      return talk.say<KeyedResult>({ kind: "key", shot, frame: picture, want }, transfer);
    };
    return {
      key: async (frame) => toMatte(await ask(frame, "pixels")),
      keyExactly: async (frame) => toMatte(await ask(frame, "pixels and alpha")),
      draw: async (frame) => (await ask(frame, "bitmap")) as DrawnMatte,
      close: () => void talk.say({ kind: "close", shot }).catch(() => undefined),
    };
  }

  close(): void {
    this.talk.end();
  }
}

function toMatte({ pixels, width, height, ...rest }: KeyedResult): Matte {
  return { ...rest, cutout: new ImageData(pixels!, width, height) };
}

/** Prepares a picture for the worker; the caller's objects stay usable. */
async function send(source: Source): Promise<{ picture: Sent; transfer: Transferable[] }> {
  if (source instanceof ImageData) {
    return {
      picture: { data: source.data as Uint8ClampedArray<ArrayBuffer>, width: source.width, height: source.height },
      transfer: [],
    };
  }
  if (typeof VideoFrame !== "undefined") {
    const frame = source instanceof VideoFrame ? source.clone() : asFrame(source);
    if (frame) return { picture: frame, transfer: [frame] };
  }
  try {
    const bitmap = await createImageBitmap(source as ImageBitmapSource, { premultiplyAlpha: "none" });
    return { picture: bitmap, transfer: [bitmap] };
  } catch (error) {
    if (isOutOfMemory(error)) throw outOfMemory();
    const name = source instanceof File ? `'${source.name}'` : "This";
    throw new CleanplateError(
      "input",
      `${name} is not a picture that this browser can read.`,
      "Use JPEG, PNG or WebP.",
    );
  }
}

/** A playing video's frame without a copy; nothing for other sources. */
function asFrame(source: Source): VideoFrame | undefined {
  return source instanceof HTMLVideoElement ? new VideoFrame(source) : undefined;
}

/** Sends requests to the worker, and resolves each with its answer. */
class Conversation {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  private last = 0;
  private ended = false;

  constructor(url: URL, onProgress?: (loaded: number, total: number) => void) {
    this.worker = new Worker(url, { type: "module", name: "cleanplate" });
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if ("progress" in data) return onProgress?.(...data.progress);
      const asked = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if ("error" in data) asked?.reject(new CleanplateError(data.error.code, data.error.message, data.error.hint));
      else asked?.resolve(data.result as never);
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      const reason = event.message ? `: ${event.message}` : "";
      this.refuse(new CleanplateError("model", `The engine cannot be started${reason}.`, "Reload the page."));
    };
  }

  say<T = undefined>(order: Order, transfer: Transferable[] = []): Promise<T> {
    if (this.ended) return Promise.reject(new CleanplateError("closed", "The keyer was closed."));
    const id = ++this.last;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (result: never) => void, reject });
      this.worker.postMessage({ id, order }, transfer);
    });
  }

  end(): void {
    this.ended = true;
    this.worker.terminate();
    this.refuse(new CleanplateError("closed", "The keyer was closed."));
  }

  private refuse(error: CleanplateError): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

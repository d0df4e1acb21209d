/** Conversation of the page with the engine's worker. */
import { CleanplateError, isOutOfMemory, outOfMemory } from "./errors.js";
import type { Answer, Order, Sent } from "./protocol.js";
import type { VideoState } from "./video/video_shot.js";

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

/** Prepares a picture for the worker; the caller's objects stay usable. */
export async function send(source: Source): Promise<{ picture: Sent; transfer: Transferable[] }> {
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

/** Time of a picture that has one. */
export function secondsOf(source: Source): number | undefined {
  if (source instanceof HTMLVideoElement) return source.currentTime;
  return typeof VideoFrame !== "undefined" && source instanceof VideoFrame ? source.timestamp / 1e6 : undefined;
}

/** A playing video's frame without a copy; nothing for other sources. */
function asFrame(source: Source): VideoFrame | undefined {
  return source instanceof HTMLVideoElement ? new VideoFrame(source) : undefined;
}

/** Sends requests to the worker, and resolves each with its answer. */
export class Conversation {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  private last = 0;
  /** Listeners of videos, by number. */
  readonly listeners = new Map<number, (state: VideoState) => void>();
  private ended = false;

  constructor(url: string, onProgress?: (loaded: number, total: number) => void) {
    this.worker = new Worker(url, { type: "module", name: "cleanplate" });
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if ("progress" in data) return onProgress?.(...data.progress);
      if ("state" in data) return this.listeners.get(data.video)?.(data.state);
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

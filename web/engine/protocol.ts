/** Messages between the page and the engine's worker. */
import type { ErrorCode } from "./errors.js";
import type { EngineFiles } from "./files.js";
import type { Backend } from "./networks.js";
import type { Fit } from "./plate/fit.js";
import type { ShotOptions } from "./shot.js";
import type { Drawn, StreamOrder, VideoOrder } from "./video/video_handler.js";
import type { VideoState } from "./video/video_shot.js";

/** A picture in transfer: its pixels, or an object that the worker draws and closes. */
export type Sent = ImageBitmap | VideoFrame | { data: Uint8ClampedArray<ArrayBuffer>; width: number; height: number };

export interface StartOrder {
  readonly kind: "start";
  readonly files: EngineFiles;
  readonly backend: Backend | "auto";
  readonly threads: number;
}

export interface OpenOrder {
  readonly kind: "open";
  readonly shot: number;
  readonly plate: Sent;
  readonly options: ShotOptions;
  /** Strokes on the first frame: white on the subject, black on the background. */
  readonly hint?: Sent | undefined;
}

export interface KeyOrder {
  readonly kind: "key";
  readonly shot: number;
  readonly frame: Sent;
  /** Strokes on this frame alone. */
  readonly hint?: Sent | undefined;
  /** Time of the frame, if it has one. */
  readonly seconds?: number | undefined;
  /** `bitmap` is cheap to draw; `pixels` are exact, and may bring alpha as it was before rounding. */
  readonly want: "bitmap" | "pixels" | "pixels and alpha";
}

export interface CloseOrder {
  readonly kind: "close";
  readonly shot: number;
}

export type Order = StartOrder | OpenOrder | KeyOrder | CloseOrder | VideoOrder | StreamOrder;

export type Result = Started | KeyedResult | Drawn | undefined;

export interface Started {
  readonly backend: Backend;
  readonly threads: number;
  readonly model: string;
}

export interface KeyedResult {
  readonly width: number;
  readonly height: number;
  readonly bitmap?: ImageBitmap;
  readonly pixels?: Uint8ClampedArray<ArrayBuffer>;
  readonly alpha?: Float32Array<ArrayBuffer>;
  readonly fit: Fit;
  readonly changed: number;
  readonly milliseconds: number;
}

export type Answer =
  | { readonly id: number; readonly result: Result }
  | { readonly id: number; readonly error: { code: ErrorCode; message: string; hint: string } }
  | { readonly progress: readonly [loaded: number, total: number] }
  | { readonly video: number; readonly state: VideoState };

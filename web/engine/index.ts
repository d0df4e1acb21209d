/**
 * cleanplate in a web page: cuts the subject out of pictures with a picture of the empty set, on the visitor's device.
 *
 * ```ts
 * const keyer = await createKeyer({ plate });
 * const { cutout } = await keyer.key(photo); // ImageData: straight RGBA
 * ```
 */
import { filesBeside } from "./bundled_files.js";
import { Conversation, type Source, secondsOf, send } from "./conversation.js";
import { CleanplateError } from "./errors.js";
import { type EngineFiles, filesIn } from "./files.js";
import type { Quality } from "./layout.js";
import type { Backend } from "./networks.js";
import type { Fit } from "./plate/fit.js";
import type { KeyedResult, KeyOrder, Sent, Started } from "./protocol.js";
import type { ShotOptions } from "./shot.js";
import { type Backdrop, VideoSession, type VideoSettings, type VideoState } from "./video/session.js";
import type { Drawn } from "./video/video_handler.js";

export { CleanplateError, type ErrorCode } from "./errors.js";
export type { Backdrop, Backend, EngineFiles, Fit, Quality, Source, VideoSession, VideoSettings, VideoState };

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

/** Settings with a hint on what is subject. */
export interface KeySettings extends ShotSettings {
  /**
   * White on the subject, black on the background, transparent or grey where nothing is said. Of the picture's aspect
   * ratio, and any size. For `key` it is a hint on the picture, for `open` on the first frame: its strokes follow
   * the motion of the picture through the frames after it, act for eight seconds, and fade for two.
   */
  readonly hint?: ImageData | undefined;
}

export interface KeyerOptions extends ShotSettings {
  /** Plate of the frames that `key` gets without one. */
  readonly plate?: Source;
  /**
   * Folder with the engine's files (`worker.js`, the model, ONNX Runtime), on this page's origin. By default, the
   * files beside this module, or the copies of them that a bundler made.
   */
  readonly modelUrl?: string | URL;
  /** Addresses of the single files, each of which replaces the default. The worker must come from this page's origin. */
  readonly files?: Partial<EngineFiles>;
  /** `auto` measures both if the browser can use a GPU, and takes the faster one. */
  readonly backend?: Backend | "auto";
  /** CPU threads; more than one work only on a cross-origin isolated page. */
  readonly threads?: number;
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
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

/**
 * Frames that share a plate and a camera position, handed in order. Their times are those of a `VideoFrame` or a video
 * element; other pictures count as a 25th of a second.
 */
export interface Shot {
  /** @param hint As in {@link KeySettings}, for this frame alone; it is not carried. */
  key(frame: Source, hint?: ImageData): Promise<Matte>;
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
  /**
   * Cuts one picture out. The keyer's plate is fitted once, to the first picture: give pictures from other positions a
   * plate each.
   */
  key(source: Source, plate?: Source, settings?: KeySettings): Promise<Matte>;
  /** Replaces the plate of `key`; it is fitted to the next frame. */
  setPlate(plate: Source, settings?: ShotSettings): Promise<void>;
  /** For many frames of one plate. */
  open(plate: Source, settings?: KeySettings): Promise<Shot>;
  /** For the frames of a video over a backdrop, with the quality that holds the frame rate; by default, with the keyer's plate. */
  openVideo(settings?: VideoSettings, plate?: Source): Promise<VideoSession>;
  /** The mean of several frames, as a plate: that of twelve has a quarter of the noise of one. */
  averageFrames(count: number, nextFrame: () => Source | Promise<Source>): Promise<ImageData>;
  /** Ends the worker; requests in progress are rejected. */
  close(): void;
}

const MOST_THREADS = 4;

/** Loads the engine; throws a {@link CleanplateError} if its files cannot be loaded. */
export async function createKeyer(options: KeyerOptions = {}): Promise<Keyer> {
  const { plate, modelUrl, backend = "auto", onProgress } = options;
  const files: EngineFiles = {
    ...(modelUrl ? filesIn(new URL(modelUrl, document.baseURI)) : filesBeside()),
    ...options.files,
  };
  const talk = new Conversation(files.worker, onProgress);
  const isolated = globalThis.crossOriginIsolated === true;
  const threads = isolated ? (options.threads ?? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1)) : 1;
  try {
    const about = await talk.say<Started>({ kind: "start", files, backend, threads });
    const keyer = new WorkerKeyer(talk, about, options);
    if (plate) await keyer.setPlate(plate);
    return keyer;
  } catch (error) {
    talk.end();
    throw error;
  }
}

class WorkerKeyer implements Keyer {
  private static shots = 0;
  private plate: Source | undefined;
  private shot: Shot | undefined;

  constructor(
    private readonly talk: Conversation,
    private readonly about: Started,
    private settings: ShotSettings,
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

  async key(source: Source, plate?: Source, settings?: KeySettings): Promise<Matte> {
    if (!plate) {
      if (this.shot) return this.shot.key(source, settings?.hint);
      throw noPlate();
    }
    const shot = await this.open(plate, { ...settings, hint: undefined });
    return shot.key(source, settings?.hint).finally(() => shot.close());
  }

  async setPlate(plate: Source, settings: ShotSettings = this.settings): Promise<void> {
    const shot = await this.open(plate, settings);
    this.shot?.close();
    [this.shot, this.plate, this.settings] = [shot, plate, settings];
  }

  async open(plate: Source, settings: KeySettings = {}): Promise<Shot> {
    const { talk } = this;
    const shot = ++WorkerKeyer.shots;
    const { quality = "fine", fit = true, follow = false } = settings;
    const options: ShotOptions = { quality, fit, follow };
    const sent = await send(plate);
    const strokes = await sendHint(settings.hint);
    await talk.say({ kind: "open", shot, plate: sent.picture, options, hint: strokes }, sent.transfer);
    const ask = async (frame: Source, want: KeyOrder["want"], hint?: ImageData): Promise<KeyedResult> => {
      const seconds = secondsOf(frame);
      const { picture, transfer } = await send(frame);
      const order = { kind: "key", shot, frame: picture, hint: await sendHint(hint), seconds, want } as const;
      return talk.say<KeyedResult>(order, transfer);
    };
    return {
      key: async (frame, hint) => toMatte(await ask(frame, "pixels", hint)),
      keyExactly: async (frame) => toMatte(await ask(frame, "pixels and alpha")),
      draw: async (frame) => (await ask(frame, "bitmap")) as DrawnMatte,
      close: () => void talk.say({ kind: "close", shot }).catch(() => undefined),
    };
  }

  async openVideo(settings: VideoSettings = {}, plate = this.plate): Promise<VideoSession> {
    if (!plate) throw noPlate();
    return VideoSession.open(this.talk, plate, settings);
  }

  async averageFrames(count: number, nextFrame: () => Source | Promise<Source>): Promise<ImageData> {
    const plate = ++WorkerKeyer.shots;
    for (let i = 0; i < count; i++) {
      const { picture, transfer } = await send(await nextFrame());
      await this.talk.say({ kind: "plate add", plate, frame: picture }, transfer);
    }
    const { pixels, width, height } = await this.talk.say<Mean>({ kind: "plate mean", plate });
    return new ImageData(pixels, width, height);
  }

  close(): void {
    this.talk.end();
  }
}

type Mean = Exclude<Drawn, ImageBitmap>;

async function sendHint(hint: ImageData | undefined): Promise<Sent | undefined> {
  return hint && (await send(hint)).picture;
}

function noPlate(): CleanplateError {
  return new CleanplateError("plate", "The keyer has no plate.", "Pass one: createKeyer({ plate }).");
}

function toMatte({ pixels, width, height, ...rest }: KeyedResult): Matte {
  return { ...rest, cutout: new ImageData(pixels!, width, height) };
}

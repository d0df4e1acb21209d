/** Keys the frames of a track over a backdrop, in the worker, with the effort that holds the frame rate. */
import type { Networks } from "../networks.js";
import type { Picture } from "../picture.js";
import { Shot } from "../shot.js";
import { type Backdrop, BackdropPainter } from "./backdrop.js";
import { compose } from "./compose.js";
import { LEVELS, Pace } from "./pace.js";

export interface VideoOptions {
  /** Whether the plate is registered and exposure-matched to the first frame. */
  readonly fit: boolean;
  /** Whether slow changes of the light are followed. */
  readonly follow: boolean;
  /** Frames per second that the effort is adapted to. */
  readonly frameRate: number;
}

/** Figures of the last second. */
export interface VideoState {
  /** Frames per second. */
  readonly rate: number;
  /** Mean time of the engine for a frame. */
  readonly milliseconds: number;
  /** 0 is the best quality; the quality falls as it rises. */
  readonly level: number;
  /** Share of the picture that the subject covers. */
  readonly changed: number;
}

const REPORT_SECONDS = 1;

export class VideoShot {
  private readonly pace: Pace;
  private readonly painter = new BackdropPainter();
  private shot: Shot;
  private painted: { key: string; words: Uint32Array | undefined } | undefined;
  private plateCanvas: OffscreenCanvas | undefined;
  private result: Picture | undefined;
  private count = 0;
  private busy = 0;
  private since = performance.now();

  constructor(
    private readonly networks: Networks,
    private plate: Picture,
    private readonly options: VideoOptions,
    private backdrop: Backdrop,
    private readonly report: (state: VideoState) => void,
  ) {
    this.pace = new Pace(1 / options.frameRate);
    this.shot = this.openShot();
  }

  setBackdrop(backdrop: Backdrop): void {
    if (this.backdrop.kind === "picture") this.backdrop.picture.close();
    this.backdrop = backdrop;
    this.painted = undefined;
  }

  setPlate(plate: Picture): void {
    this.plate = plate;
    this.painted = this.plateCanvas = undefined;
    this.shot = this.openShot();
    this.pace.start();
  }

  /** Keys a frame; the result is overwritten by the next. */
  async render(frame: Picture, began: number): Promise<Picture> {
    const keyed = await this.shot.key(frame, { bare: true });
    const { width, height } = frame;
    if (this.result?.width !== width || this.result.height !== height) {
      this.result = { width, height, data: new Uint8ClampedArray(4 * width * height) };
    }
    compose(keyed.cutout, keyed.area, this.paint(width, height), new Uint32Array(this.result.data.buffer));
    this.note(began, keyed.changed);
    return this.result;
  }

  /** Whether results may be transparent. */
  get transparent(): boolean {
    return this.backdrop.kind === "none";
  }

  private openShot(): Shot {
    const { fit, follow } = this.options;
    const shot = new Shot(this.networks, this.plate, { quality: "live", fit, follow });
    shot.tune(LEVELS[this.pace.level]!);
    return shot;
  }

  private note(began: number, changed: number): void {
    const now = performance.now();
    if (this.pace.note((now - began) / 1000, now / 1000)) this.shot.tune(LEVELS[this.pace.level]!);
    this.count++;
    this.busy += now - began;
    const seconds = (now - this.since) / 1000;
    if (seconds < REPORT_SECONDS) return;
    const { count } = this;
    this.report({ rate: count / seconds, milliseconds: this.busy / count, level: this.pace.level, changed });
    [this.count, this.busy, this.since] = [0, 0, now];
  }

  /** The backdrop at the frame's size, painted once. */
  private paint(width: number, height: number): Uint32Array | undefined {
    const key = `${width} x ${height}`;
    if (this.painted?.key !== key) {
      this.painted = { key, words: this.transparent ? undefined : this.paintAnew(width, height) };
    }
    return this.painted.words;
  }

  private paintAnew(width: number, height: number): Uint32Array {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true })!;
    if (this.backdrop.kind === "blur" && !this.plateCanvas) {
      const { plate } = this;
      this.plateCanvas = new OffscreenCanvas(plate.width, plate.height);
      const opaque = new ImageData(new Uint8ClampedArray(plate.data), plate.width, plate.height);
      for (let i = 3; i < opaque.data.length; i += 4) opaque.data[i] = 255;
      this.plateCanvas.getContext("2d")!.putImageData(opaque, 0, 0);
    }
    this.painter.paint(context, this.backdrop, width, height, this.plateCanvas);
    const words = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    for (let i = 0; i < words.length; i++) words[i] = words[i]! | 0xff000000; // a picture may be transparent
    return words;
  }
}

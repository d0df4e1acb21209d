/** Keys the frames that share a plate and a camera position, one at a time (`keyer.py`). */
import { CleanplateError } from "./errors.js";
import { readStrokes } from "./hints/hint_strokes.js";
import { type Hint, HintTracker } from "./hints/hint_tracking.js";
import { applyHint } from "./hints/hinted_coarse.js";
import { FINER, type Layout, layOut, type Quality } from "./layout.js";
import { refineThreshold } from "./model.js";
import type { Networks } from "./networks.js";
import { crop, type Maps, makeMaps, makePicture, type Picture, pad, type Size } from "./picture.js";
import { type Fit, type FittedPlate, fitPlate, takePlate } from "./plate/fit.js";
import { applyGain, estimateGain, type Gain, SAME_LIGHT } from "./plate/gain.js";
import { type Area, shrink, wholeArea } from "./resize.js";
import { CELL } from "./router/cells.js";
import { type Matte, refine } from "./router/refine.js";
import { findChange, layInto, type Region } from "./router/region.js";
import type { Coarse } from "./router/windows.js";

export interface ShotOptions {
  readonly quality: Quality;
  /** Whether the plate is registered and exposure-matched, once, at the first frame. */
  readonly fit: boolean;
  /** Whether slow changes of the light are followed from frame to frame. */
  readonly follow: boolean;
}

/** A frame's own settings. */
export interface FrameOptions {
  /** Whether the cut-out may be black where alpha is 0; alpha itself is then valid in the cut-out only. */
  readonly bare?: boolean | undefined;
  /** White for the subject, black for the background, elsewhere transparent; of the frame's aspect ratio. For this frame
   * alone, in place of the shot's own. */
  readonly hint?: Picture | undefined;
  /** Time of the frame; by default {@link FRAME_SECONDS} after the one before. */
  readonly seconds?: number | undefined;
}

export interface Keyed {
  /** Straight RGBA of the frame's size; the shot's own buffer, overwritten by the next frame. */
  readonly cutout: Picture;
  /** In [0, 1], rows of `alphaStride`; likewise. */
  readonly alpha: Float32Array;
  readonly alphaStride: number;
  readonly fit: Fit;
  /** Share of the frame that the subject covers. */
  readonly changed: number;
  /** Part of the frame outside of which alpha is 0. */
  readonly area: Area;
}

/** Costs of a frame, beside those of its size. */
export interface Effort {
  /** Factor on the side of the coarse input. */
  readonly finer: number;
  /** Limit of the refined share of the picture; none: the model's own rule. */
  readonly refined?: number | undefined;
}

const LEAST_SIDE = 32;

/** Distance of frames without a time. */
const FRAME_SECONDS = 1 / 25;

/** Reach of the enlargement of the coarse output, in pixels of the coarse input (whose stride is at most 4). */
const REACH = 4;

/** Number of frames between measurements of the light, and weight of a new measurement. */
const LIGHT_EVERY = 6;
const LIGHT_RATE = 0.5;

/** Smallest visible change of a channel's factor. */
const VISIBLE_CHANGE = 0.003;

/** Alpha of the coarse network up to which a pixel is background. */
const BACKGROUND = 0.02;

/** Share of a frame that must be background for measuring the light on the background only. */
const LEAST_BACKGROUND = 0.2;

interface Background {
  readonly fitted: FittedPlate;
  readonly layout: Layout;
  /** Padded, in the light it was fitted to. */
  readonly base: Picture;
  /** Padded, in the present light: the same object until the light changes. */
  picture: Picture;
  small: Maps;
}

export class Shot {
  private background: Background | undefined;
  private light: Gain = SAME_LIGHT;
  private frames = 0;
  private source: Picture | undefined;
  private smallSource: Maps | undefined;
  private matte: Matte | undefined;
  private effort: Effort;
  private readonly tracker: HintTracker | undefined;
  private seconds = -FRAME_SECONDS;

  /** @param hint Strokes on the first frame, which are carried through those after it. */
  constructor(
    private readonly networks: Networks,
    private readonly plate: Picture,
    private readonly options: ShotOptions,
    hint?: Picture,
  ) {
    checkSize(plate);
    this.tracker = hint && new HintTracker(hint);
    this.effort = { finer: FINER[options.quality] };
  }

  /** Changes the effort from the next frame on; the fit of the plate stays. */
  tune(effort: Effort): void {
    const { background } = this;
    const changed = effort.finer !== this.effort.finer;
    this.effort = effort;
    if (background && changed) this.background = this.layDown(background.fitted);
  }

  /** Keys the next frame. */
  async key(frame: Picture, options: FrameOptions = {}): Promise<Keyed> {
    checkSize(frame);
    const hint = this.findHint(frame, options);
    const background = this.lie(frame);
    const { padded, coarse: size } = background.layout;
    const source = pad(frame, padded, this.source);
    if (source !== frame) this.source = source;
    const small = shrink(source, size, 3, this.smallSource);
    this.smallSource = small;
    const { coarse: seen, region } = await this.look(small, background.small);
    const coarse = hint ? applyHint(seen, hint, source, frame) : seen;
    const area = padded.height * padded.width;
    if (this.matte?.alpha.length !== area) {
      this.matte = { alpha: new Float32Array(area), cutout: makePicture(padded.width, padded.height) };
    }
    const { networks, matte } = this;
    const { refined } = this.effort;
    const choice = {
      threshold: refineThreshold(networks.record),
      most: refined === undefined ? area / CELL ** 2 : Math.round((refined * area) / CELL ** 2),
      area: coarse === seen ? enlargeRegion(region, small, padded) : wholeArea(padded),
      bare: options.bare ?? false,
    };
    await refine(source, background.picture, coarse, choice, (w, n) => networks.refine(w, n), matte);
    if (this.options.follow && ++this.frames % LIGHT_EVERY === 0) this.followLight(background, small, coarse.alpha);
    const same = padded.width === frame.width && padded.height === frame.height;
    return {
      cutout: same ? matte.cutout : crop(matte.cutout, frame),
      alpha: matte.alpha,
      alphaStride: padded.width,
      fit: background.fitted.fit,
      changed: mean(coarse.alpha.data),
      area: choice.area,
    };
  }

  private findHint(frame: Picture, { hint, seconds }: FrameOptions): Hint | undefined {
    this.seconds = seconds ?? this.seconds + FRAME_SECONDS;
    const carried = this.tracker?.follow(frame, this.seconds);
    return hint ? { ...readStrokes(hint, frame), weight: 1 } : carried;
  }

  /** Fits the plate to the first frame, and again to one of another size. */
  private lie(frame: Picture): Background {
    const { picture } = this.background?.fitted ?? {};
    if (this.background && picture?.width === frame.width && picture.height === frame.height) return this.background;
    const fitted = this.options.fit ? fitPlate(this.plate, frame) : takePlate(this.plate, frame);
    this.light = SAME_LIGHT;
    this.background = this.layDown(fitted);
    return this.background;
  }

  private layDown(fitted: FittedPlate): Background {
    const layout = layOut(this.networks.record, fitted.picture, this.effort.finer);
    const base = pad(fitted.picture, layout.padded);
    let picture = base;
    if (this.light !== SAME_LIGHT) {
      picture = makePicture(base.width, base.height);
      applyGain(base.data, this.light, picture.data);
    }
    return { fitted, layout, base, picture, small: shrinkKnown(picture, layout) };
  }

  /** Runs the coarse network on the region that may have changed. */
  private async look(source: Maps, plate: Maps): Promise<{ coarse: Coarse; region: Region }> {
    const region = findChange(source, plate);
    const { record } = this.networks;
    const stride = record.coarse_output_stride;
    const size = { height: source.height / stride, width: source.width / stride };
    if (!region) {
      const nothing = (channels: number) => makeMaps(channels, size.height, size.width);
      const coarse = {
        alpha: nothing(1),
        residual: nothing(3),
        error: nothing(1),
        hidden: nothing(record.hidden_channels),
      };
      return { coarse, region: { top: 0, left: 0, height: 0, width: 0 } };
    }
    if (region.height === source.height && region.width === source.width) {
      return { coarse: await this.networks.coarse(source, plate), region };
    }
    const part = await this.networks.coarse(cutOut(source, region), cutOut(plate, region));
    const there: Region = {
      top: region.top / stride,
      left: region.left / stride,
      height: region.height / stride,
      width: region.width / stride,
    };
    const coarse = {
      alpha: layInto(part.alpha, there, size),
      residual: layInto(part.residual, there, size),
      error: layInto(part.error, there, size),
      hidden: layInto(part.hidden, there, size),
    };
    return { coarse, region };
  }

  private followLight(background: Background, source: Maps, alpha: Maps): void {
    const stride = source.width / alpha.width;
    const free = (index: number): boolean => {
      const [x, y] = [index % source.width, Math.floor(index / source.width)];
      return alpha.data[Math.floor(y / stride) * alpha.width + Math.floor(x / stride)]! <= BACKGROUND;
    };
    const { small } = background;
    const known = small.data.subarray(3 * small.width * small.height);
    const covered = mean(alpha.data.map((value) => (value > BACKGROUND ? 1 : 0)));
    const picky = 1 - covered > LEAST_BACKGROUND; // else the light itself may have made it "subject"
    const found = estimateGain(small, source, (index) => (known[index] && (!picky || free(index)) ? 1 : 0));
    const light = this.light.map((factor, i) => factor * found[i]! ** LIGHT_RATE) as unknown as Gain;
    if (light.every((factor, i) => Math.abs(factor / this.light[i]! - 1) < VISIBLE_CHANGE)) return;
    this.light = light;
    if (background.picture === background.base) {
      background.picture = makePicture(background.base.width, background.base.height);
    }
    applyGain(background.base.data, light, background.picture.data);
    background.small = shrinkKnown(background.picture, background.layout);
  }
}

/** Where a region of the coarse input can reach after enlargement: a pixel of the coarse output more on each side. */
function enlargeRegion({ top, left, height, width }: Region, from: Size, to: Size): Area {
  if (!height) return { top: 0, left: 0, height: 0, width: 0 };
  const span = (first: number, length: number, ratio: number, size: number): [number, number] => {
    const start = Math.max(0, Math.floor((first - REACH) * ratio));
    return [start, Math.min(size, Math.ceil((first + length + REACH) * ratio)) - start];
  };
  const rows = span(top, height, to.height / from.height, to.height);
  const columns = span(left, width, to.width / from.width, to.width);
  return { top: rows[0], left: columns[0], height: rows[1], width: columns[1] };
}

/** The plate as input of the coarse network: all four maps are 0 where it is not wholly known. */
function shrinkKnown(plate: Picture, { coarse }: Layout): Maps {
  const small = shrink(plate, coarse, 4);
  const area = coarse.height * coarse.width;
  for (let i = 0; i < area; i++) {
    if (small.data[3 * area + i]! > 0.999) continue;
    for (let channel = 0; channel < 4; channel++) small.data[channel * area + i] = 0;
  }
  return small;
}

function cutOut(maps: Maps, region: Region): Maps {
  const part = makeMaps(maps.channels, region.height, region.width);
  for (let channel = 0; channel < maps.channels; channel++) {
    for (let y = 0; y < region.height; y++) {
      const from = (channel * maps.height + region.top + y) * maps.width + region.left;
      part.data.set(maps.data.subarray(from, from + region.width), (channel * region.height + y) * region.width);
    }
  }
  return part;
}

function mean(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

function checkSize({ width, height }: Picture): void {
  if (Math.min(width, height) >= LEAST_SIDE) return;
  throw new CleanplateError(
    "input",
    `The picture is ${width} x ${height}: at least ${LEAST_SIDE} pixels a side are needed.`,
  );
}

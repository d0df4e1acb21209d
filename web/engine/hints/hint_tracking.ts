/**
 * Hints carried through a clip: the pixels of the strokes follow the motion of the picture (`hint_tracking.py`).
 *
 * Optical flow at half the hint's side moves the pixels of the strokes. Where the way forth and back does not return
 * to a pixel, it moves with its surroundings. It is lost where these have no consistent motion either, where the
 * picture changes its brightness, and at the border of the frame.
 */
import type { Picture, Size } from "../picture.js";
import { reduce } from "../resize.js";
import { hintSize, readStrokes, type Strokes } from "./hint_strokes.js";
import { dilate, erode, SQUARE } from "./morphology.js";
import { estimateFlow, type Flow } from "./patch_flow.js";
import { type Level, makePyramid } from "./pyramid.js";

/** The numbers of the Python module: pixels of the hint, greys of 255, seconds. */
const RETURN = 1;
const RETURN_SHARE = 0.1;
const LEAST_AROUND = 0.1;
const BRIGHTNESS = 40;
const HOLD_SECONDS = 8;
const FADE_SECONDS = 2;

/** Reach of the surroundings in pixels of the flow: three means over it have a deviation of 6.5, as 13 of the hint's. */
const AROUND = 6;

/** Strokes on a frame, its own or carried ones. */
export interface Hint extends Strokes {
  /** Share of its effect, above 0 and at most 1. */
  readonly weight: number;
}

/** State after a frame. */
interface Track {
  /** Positions of the strokes' pixels, x and y in turn. */
  readonly white: Float32Array;
  readonly black: Float32Array;
  readonly look: Look;
}

/** A frame at the size of hints. */
interface Look extends Size {
  readonly grey: Float32Array;
  readonly pyramid: readonly Level[];
}

/** Gives each frame of a clip its hint; frames come in order. */
export class HintTracker {
  private track: Track | undefined;
  /** Time of the first frame, and of the last one. */
  private spokenSeconds = Number.POSITIVE_INFINITY;
  private seconds = Number.POSITIVE_INFINITY;

  /** @param hint The strokes on the first frame: white, black, elsewhere transparent. */
  constructor(private readonly hint: Picture) {}

  /**
   * The hint for the next frame; none where nothing is said.
   *
   * After a step back in time, the strokes are lost up to the first frame.
   *
   * @param seconds Time of the frame.
   */
  follow(frame: Picture, seconds: number): Hint | undefined {
    const back = seconds < this.seconds;
    this.seconds = seconds;
    if (back && seconds <= this.spokenSeconds) {
      this.track = begin(readStrokes(this.hint, frame), frame);
      this.spokenSeconds = seconds;
    } else {
      this.track = !back && this.track ? move(this.track, frame) : undefined;
    }
    const weight = Math.min(1, (HOLD_SECONDS + FADE_SECONDS - (seconds - this.spokenSeconds)) / FADE_SECONDS);
    if (weight <= 0) this.track = undefined;
    if (!this.track) return undefined;
    const { look } = this.track;
    const [white, black] = [draw(this.track.white, look), draw(this.track.black, look)];
    return {
      height: look.height,
      width: look.width,
      white: white.map((value, i) => (black[i] ? 0 : value)),
      black: black.map((value, i) => (white[i] ? 0 : value)),
      weight,
    };
  }
}

function begin({ white, black, width }: Strokes, frame: Picture): Track {
  return { white: listPixels(white, width), black: listPixels(black, width), look: lookAt(frame) };
}

/** The strokes on the next frame; none if all are lost. */
function move(track: Track, frame: Picture): Track | undefined {
  const look = lookAt(frame);
  const before = track.look;
  if (look.height !== before.height || look.width !== before.width) return undefined;
  const way = findWay(before, look);
  const [white, black] = [carry(track.white, way, before, look), carry(track.black, way, before, look)];
  if (!white.length && !black.length) return undefined;
  return { white, black, look };
}

/** The flow from one look to the next, in its own pixels; where it is not consistent, that of the surroundings, or NaN. */
function findWay(before: Look, after: Look): Flow {
  const forth = estimateFlow(before.pyramid, after.pyramid);
  const back = estimateFlow(after.pyramid, before.pyramid);
  const { height, width, x, y } = forth;
  const good = new Float32Array(height * width);
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0; column < width; column++, i++) {
      const [dx, dy] = [x[i]!, y[i]!];
      const [thereX, thereY] = [column + dx, row + dy];
      if (!isInside(thereX, thereY, forth)) continue;
      const missed = Math.hypot(dx + sample(back.x, back, thereX, thereY), dy + sample(back.y, back, thereX, thereY));
      if (2 * missed <= RETURN + RETURN_SHARE * 2 * Math.hypot(dx, dy)) good[i] = 1;
    }
  }
  const share = blur(good, forth);
  for (const ways of [x, y]) {
    const around = blur(
      ways.map((value, i) => value * good[i]!),
      forth,
    );
    for (let i = 0; i < ways.length; i++) {
      if (!good[i]) ways[i] = share[i]! < LEAST_AROUND ? Number.NaN : around[i]! / share[i]!;
    }
  }
  return forth;
}

/** Moves positions; lost ones are left out. */
function carry(points: Float32Array, way: Flow, before: Look, after: Look): Float32Array {
  const moved = new Float32Array(points.length);
  let count = 0;
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = [points[i]!, points[i + 1]!];
    // A pixel's corner is at -0.5 at every size.
    const [halfX, halfY] = [clamp((x - 0.5) / 2, way.width - 1), clamp((y - 0.5) / 2, way.height - 1)];
    const thereX = x + 2 * sample(way.x, way, halfX, halfY);
    const thereY = y + 2 * sample(way.y, way, halfX, halfY);
    if (!isInside(thereX, thereY, after)) continue; // also where it is not known
    const change = after.grey[nearest(thereX, thereY, after)]! - before.grey[nearest(x, y, before)]!;
    if (Math.abs(change) > BRIGHTNESS) continue;
    moved[count++] = thereX;
    moved[count++] = thereY;
  }
  return moved.slice(0, count);
}

/** The frame's grey at the size of hints, rounded as OpenCV does. */
function lookAt(frame: Picture): Look {
  const size = hintSize(frame);
  const { data } = reduce(frame, size);
  const grey = new Float32Array(size.height * size.width);
  for (let i = 0, at = 0; i < grey.length; i++, at += 4) {
    grey[i] = Math.round(0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!);
  }
  return { ...size, grey, pyramid: makePyramid(grey, size) };
}

function listPixels(mask: Float32Array, width: number): Float32Array {
  const points: number[] = [];
  mask.forEach((value, i) => {
    if (value) points.push(i % width, Math.floor(i / width));
  });
  return Float32Array.from(points);
}

/** Pixels at positions; gaps of a pixel, which a growing subject makes, are closed. */
function draw(points: Float32Array, size: Size): Float32Array {
  const mask = new Float32Array(size.height * size.width);
  if (!points.length) return mask;
  let [top, left, bottom, right] = [size.height, size.width, 0, 0];
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = [Math.round(points[i]!), Math.round(points[i + 1]!)];
    mask[y * size.width + x] = 1;
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    [left, right] = [Math.min(left, x), Math.max(right, x)];
  }
  // In the part with the strokes, and two pixels around it.
  [top, left] = [Math.max(0, top - 2), Math.max(0, left - 2)];
  const part = { height: Math.min(size.height, bottom + 3) - top, width: Math.min(size.width, right + 3) - left };
  const cut = new Float32Array(part.height * part.width);
  for (let y = 0; y < part.height; y++) {
    const start = (top + y) * size.width + left;
    cut.set(mask.subarray(start, start + part.width), y * part.width);
  }
  const closed = erode(dilate(cut, part, SQUARE), part, SQUARE);
  for (let y = 0; y < part.height; y++) {
    mask.set(closed.subarray(y * part.width, (y + 1) * part.width), (top + y) * size.width + left);
  }
  return mask;
}

function nearest(x: number, y: number, { width }: Size): number {
  return Math.round(y) * width + Math.round(x);
}

function isInside(x: number, y: number, { height, width }: Size): boolean {
  return x >= 0 && y >= 0 && x <= width - 1 && y <= height - 1;
}

/** A map between its pixels; NaN next to one. */
function sample(map: Float32Array, { height, width }: Size, x: number, y: number): number {
  const column = Math.min(Math.floor(x), width - 2);
  const row = Math.min(Math.floor(y), height - 2);
  const at = row * width + column;
  const upper = map[at]! + (x - column) * (map[at + 1]! - map[at]!);
  const lower = map[at + width]! + (x - column) * (map[at + width + 1]! - map[at + width]!);
  return upper + (y - row) * (lower - upper);
}

/** Three means over a square: nearly a Gaussian. Pixels of the border are repeated. */
function blur(map: Float32Array, { height, width }: Size): Float32Array {
  const from = map.slice();
  const to = new Float32Array(map.length);
  for (let round = 0; round < 3; round++) {
    for (let y = 0; y < height; y++) average(from, to, y * width, width, 1);
    for (let x = 0; x < width; x++) average(to, from, x, height, width);
  }
  return from;
}

/** Running means of a row or a column. */
function average(from: Float32Array, to: Float32Array, first: number, count: number, stride: number): void {
  const last = first + (count - 1) * stride;
  const reach = AROUND * stride;
  let sum = from[first]! * AROUND;
  for (let i = 0; i <= AROUND; i++) sum += from[Math.min(first + i * stride, last)]!;
  for (let at = first; at <= last; at += stride) {
    to[at] = sum / (2 * AROUND + 1);
    sum += from[Math.min(at + reach + stride, last)]! - from[Math.max(at - reach, first)]!;
  }
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(value, 0), most);
}

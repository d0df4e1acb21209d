/** Spreading of a hint from its strokes over the coarse alpha (`hint_spread.py`, which has the reasons and sources). */
import type { Maps, Size } from "../picture.js";
import { dilate, disc, erode, labelParts, SQUARE } from "./morphology.js";

/** The numbers of the Python module. */
const REACH = 0.008;
const EDGE = 0.06;
const STROKE = 4;
const UNSURE = 4;
const TOUCHED = [0.015, 0.04] as const;
const BELIEF = 0.02;
const ITERATIONS = 3;
const LEAST = 0.05;
const MOST = 0.85;
const GAP = 0.006;

/** Strength of the strokes for subject and background at the size of the maps, in [0, 1]. */
export interface StrokeStrength {
  readonly white: Float32Array;
  readonly black: Float32Array;
}

/**
 * The new alpha; nothing if the strokes agree with it.
 *
 * @param guide The picture in [0, 1], three maps.
 * @param alpha The network's, in [0, 1].
 * @param error The error of alpha that it expects, in [0, 1].
 */
export function spreadHint(
  guide: Maps,
  alpha: Float32Array,
  error: Float32Array,
  { white, black }: StrokeStrength,
): Float32Array | undefined {
  if (!alpha.some((value, i) => white[i]! * (1 - value) + black[i]! * value > LEAST)) return undefined;
  const area = alpha.length;
  const holes = fillParts(
    alpha.map((value) => (value < 0.5 ? 1 : 0)),
    white,
    black,
    guide,
  );
  const islands = fillParts(
    alpha.map((value) => (value >= 0.5 ? 1 : 0)),
    black,
    white,
    guide,
  );
  // Strokes for the subject, for the background; belief in background, in subject.
  const sums = new Float32Array(4 * area);
  for (let i = 0; i < area; i++) {
    const sure = BELIEF + (1 - BELIEF) * (1 - clip(UNSURE * error[i]!)) ** 2;
    sums[4 * i] = STROKE * Math.max(white[i]!, holes[i]!);
    sums[4 * i + 1] = STROKE * Math.max(black[i]!, islands[i]!);
    sums[4 * i + 2] = sure * (1 - holes[i]!) * (1 - alpha[i]!);
    sums[4 * i + 3] = sure * (1 - islands[i]!) * alpha[i]!;
  }
  smooth(guide, sums);
  const lifted = new Float32Array(area);
  const dropped = new Float32Array(area);
  let changed = new Float32Array(area);
  for (let i = 0; i < area; i++) {
    const [add, remove, background, subject] = [sums[4 * i]!, sums[4 * i + 1]!, sums[4 * i + 2]!, sums[4 * i + 3]!];
    const lift = sharpen(add / (add + remove + background + 1e-6));
    const drop = sharpen(remove / (remove + add + subject + 1e-6));
    changed[i] = alpha[i]! + lift * (1 - alpha[i]!) - drop * alpha[i]!;
    lifted[i] = lift >= 0.5 ? 1 : 0;
    dropped[i] = drop >= 0.5 ? 1 : 0;
  }
  const rim = disc(measureGap(guide));
  for (const [where, first, second] of [
    [lifted, dilate, erode],
    [dropped, erode, dilate],
  ] as const) {
    const near = dilate(where, guide, rim);
    const closed = second(first(changed, guide, rim), guide, rim);
    changed = changed.map((value, i) => (near[i] ? closed[i]! : value));
  }
  return changed;
}

/** Extends strokes over the connected parts that they touch along much of their area, in [0, 1]. */
function fillParts(part: Float32Array, strokes: Float32Array, others: Float32Array, size: Size): Float32Array {
  // Gaps on either side of a stroke, and thin ways through a part, are closed.
  const gap = measureGap(size);
  const thick = strokes.map((value) => (value >= 0.5 ? 1 : 0));
  const walls = dilate(thick, size, disc(gap));
  const inside = erode(
    part.map((value, i) => (walls[i] ? 0 : value)),
    size,
    SQUARE,
  );
  const { labels, count } = labelParts(inside, size);
  const near = dilate(dilate(walls, size, SQUARE), size, SQUARE);
  const areas = new Uint32Array(count);
  const touched = new Uint32Array(count);
  const stays = new Uint8Array(count);
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    areas[label]!++;
    if (near[i]) touched[label]!++;
    if (others[i]! >= 0.5) stays[label] = 1;
  }
  const shares = Float32Array.from(areas, (area, label) =>
    label === 0 || stays[label] ? 0 : clip((touched[label]! / area - TOUCHED[0]) / (TOUCHED[1] - TOUCHED[0])),
  );
  let fill = Float32Array.from(labels, (label) => shares[label]!);
  // Back into the closed gaps, as far as the strokes.
  for (let i = 0; i < 2 * gap + 1; i++) {
    fill = dilate(fill, size, SQUARE).map((value, at) => (part[at] && !thick[at] ? value : 0));
  }
  return fill;
}

function measureGap({ height, width }: Size): number {
  return Math.max(2, Math.floor(GAP * Math.max(height, width) + 0.5));
}

/** Averages four interleaved channels over the surroundings, in place, up to the edges of the guide. */
function smooth(guide: Maps, values: Float32Array): void {
  const { height, width } = guide;
  const reach = Math.max(1.5, REACH * Math.max(height, width));
  const across = measureSteps(guide, 1, reach);
  const down = measureSteps(guide, width, reach);
  for (let round = 0; round < ITERATIONS; round++) {
    // Standard deviations that add up to the reach, as in the paper.
    const deviation = (reach * Math.sqrt(3) * 2 ** (ITERATIONS - round - 1)) / Math.sqrt(4 ** ITERATIONS - 1);
    const keep = (step: number) => Math.exp((-Math.SQRT2 / deviation) * step);
    const [keepAcross, keepDown] = [across.map(keep), down.map(keep)];
    for (let y = 0; y < height; y++) runAlong(values, keepAcross, y * width, width, 1);
    for (let x = 0; x < width; x++) runAlong(values, keepDown, x, height, width);
  }
}

/** Distance of each pixel from the next one, `stride` further on. */
function measureSteps({ channels, data, height, width }: Maps, stride: number, reach: number): Float32Array {
  const area = height * width;
  const steps = new Float32Array(area);
  for (let i = 0; i < area - stride; i++) {
    let sum = 0;
    for (let at = i; at < channels * area; at += area) sum += Math.abs(data[at + stride]! - data[at]!);
    steps[i] = 1 + (reach / EDGE) * sum;
  }
  return steps;
}

/** Filters a row or a column forth and back, in place. */
function runAlong(values: Float32Array, keep: Float32Array, first: number, count: number, stride: number): void {
  const last = first + (count - 1) * stride;
  for (let i = first + stride; i <= last; i += stride) mix(values, i, i - stride, keep[i - stride]!);
  for (let i = last - stride; i >= first; i -= stride) mix(values, i, i + stride, keep[i]!);
}

function mix(values: Float32Array, to: number, from: number, share: number): void {
  for (let channel = 0; channel < 4; channel++) {
    const value = values[4 * to + channel]!;
    values[4 * to + channel] = value + share * (values[4 * from + channel]! - value);
  }
}

function sharpen(share: number): number {
  const part = clip((share - LEAST) / (MOST - LEAST));
  return part * part * (3 - 2 * part);
}

function clip(value: number): number {
  return Math.min(Math.max(value, 0), 1);
}

/**
 * Dense optical flow of patches, from coarse to fine: Kroeger et al., Fast Optical Flow using Dense Inverse Search,
 * 2016, without their variational refinement.
 *
 * Patches on a grid of the first picture look for their place in the second one by the inverse compositional method
 * of Lucas and Kanade (Baker and Matthews 2004); each pixel takes the weighted mean of the patches over it.
 */
import type { Size } from "../picture.js";
import { type Level, MARGIN } from "./pyramid.js";

/** Side of a patch and distance of two of them, in pixels of each level: OpenCV's medium preset has 8 and 3. */
const SIDE = 8;
const STRIDE = 4;
const AREA = SIDE * SIDE;

/** Most steps of a patch, and the step in pixels after which it has arrived. */
const STEPS = 12;
const ARRIVED = 0.02;

/** Least curvature of a patch: the smaller eigenvalue of its structure tensor. Below, it keeps its first guess: a slope
 * of half a grey value a pixel along one axis, less than noise. Chosen, not measured. */
const LEAST_CURVATURE = AREA * 0.25;

/** Ways in pixels of the level, one for each pixel. */
export interface Flow extends Size {
  readonly x: Float32Array;
  readonly y: Float32Array;
}

/** The way of each pixel from one picture to another, at the size of the pyramids' first level. */
export function estimateFlow(before: readonly Level[], after: readonly Level[]): Flow {
  let flow: Flow | undefined;
  for (let i = before.length - 1; i >= 0; i--) flow = new PatchSearch(before[i]!, after[i]!).run(flow);
  return flow!;
}

/** The search on one level. */
class PatchSearch {
  private readonly rows: Int32Array;
  private readonly columns: Int32Array;
  /** Ways of the patches, row by row of the grid. */
  private readonly wayX: Float32Array;
  private readonly wayY: Float32Array;
  /** Differences under the present patch, without their mean. */
  private readonly difference = new Float32Array(AREA);

  constructor(
    private readonly before: Level,
    private readonly after: Level,
  ) {
    this.rows = spread(before.height);
    this.columns = spread(before.width);
    this.wayX = new Float32Array(this.rows.length * this.columns.length);
    this.wayY = new Float32Array(this.wayX.length);
  }

  /** @param coarser The flow of the level above, of half the side; none on the coarsest. */
  run(coarser: Flow | undefined): Flow {
    const { rows, columns, wayX, wayY } = this;
    const count = columns.length;
    const sums = new Float32Array(3 * this.before.height * this.before.width);
    for (let row = 0, i = 0; row < rows.length; row++) {
      for (let column = 0; column < count; column++, i++) {
        const [top, left] = [rows[row]!, columns[column]!];
        let [x, y] = coarser ? guess(coarser, top, left) : [0, 0];
        let least = this.compare(top, left, x, y);
        // Ways of the neighbours that are done: a small thing may be lost on the coarser level.
        for (const near of [column ? i - 1 : -1, row ? i - count : -1]) {
          if (near < 0) continue;
          const cost = this.compare(top, left, wayX[near]!, wayY[near]!);
          if (cost < least) [x, y, least] = [wayX[near]!, wayY[near]!, cost];
        }
        [x, y] = this.search(top, left, x, y);
        [wayX[i], wayY[i]] = [x, y];
        this.add(top, left, x, y, sums);
      }
    }
    return average(sums, this.before);
  }

  /** Moves a patch from a first guess to the place where it differs least. */
  private search(top: number, left: number, firstX: number, firstY: number): readonly [number, number] {
    const { width, dx, dy } = this.before;
    const { difference } = this;
    let [xx, xy, yy, sumX, sumY] = [0, 0, 0, 0, 0];
    for (let row = 0; row < SIDE; row++) {
      const start = (top + row) * width + left;
      for (let i = start; i < start + SIDE; i++) {
        const [x, y] = [dx[i]!, dy[i]!];
        xx += x * x;
        xy += x * y;
        yy += y * y;
        sumX += x;
        sumY += y;
      }
    }
    // Brightness is free: without the means of the slopes.
    xx -= (sumX * sumX) / AREA;
    xy -= (sumX * sumY) / AREA;
    yy -= (sumY * sumY) / AREA;
    if ((xx + yy - Math.hypot(xx - yy, 2 * xy)) / 2 < LEAST_CURVATURE) return [firstX, firstY];
    const determinant = xx * yy - xy * xy;
    let [x, y, least] = [firstX, firstY, this.compare(top, left, firstX, firstY)];
    for (let step = 0; step < STEPS; step++) {
      let [alongX, alongY] = [0, 0];
      for (let row = 0, i = 0; row < SIDE; row++) {
        const start = (top + row) * width + left;
        for (let at = start; at < start + SIDE; at++, i++) {
          alongX += dx[at]! * difference[i]!;
          alongY += dy[at]! * difference[i]!;
        }
      }
      const stepX = (yy * alongX - xy * alongY) / determinant;
      const stepY = (xx * alongY - xy * alongX) / determinant;
      const cost = this.compare(top, left, x - stepX, y - stepY);
      if (!(cost < least)) break;
      [x, y, least] = [x - stepX, y - stepY, cost];
      if (Math.hypot(stepX, stepY) < ARRIVED) break;
    }
    // A patch that ran off has found something else.
    return Math.hypot(x - firstX, y - firstY) > SIDE ? [firstX, firstY] : [x, y];
  }

  /** Squared difference of a patch from the second picture at its way, without the mean difference. */
  private compare(top: number, left: number, wayX: number, wayY: number): number {
    const { before, after, difference } = this;
    const x = clamp(left + wayX, 1 - MARGIN, after.width + MARGIN - SIDE - 2) + MARGIN;
    const y = clamp(top + wayY, 1 - MARGIN, after.height + MARGIN - SIDE - 2) + MARGIN;
    const [column, row] = [Math.floor(x), Math.floor(y)];
    const [right, down] = [x - column, y - row];
    const [a, b, c, d] = [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down];
    const there = after.data;
    const { stride } = after;
    let sum = 0;
    for (let line = 0, i = 0; line < SIDE; line++) {
      let at = (row + line) * stride + column;
      let from = (top + line + MARGIN) * before.stride + left + MARGIN;
      for (let k = 0; k < SIDE; k++, i++, at++, from++) {
        const value =
          a * there[at]! + b * there[at + 1]! + c * there[at + stride]! + d * there[at + stride + 1]! - before.data[from]!;
        difference[i] = value;
        sum += value;
      }
    }
    const mean = sum / AREA;
    let cost = 0;
    for (let i = 0; i < AREA; i++) {
      const value = difference[i]! - mean;
      difference[i] = value;
      cost += value * value;
    }
    return cost;
  }

  /** Adds a patch's way to the sums of its pixels, with less weight where it differs. */
  private add(top: number, left: number, wayX: number, wayY: number, sums: Float32Array): void {
    const { width } = this.before;
    this.compare(top, left, wayX, wayY);
    for (let row = 0, i = 0; row < SIDE; row++) {
      for (let at = 3 * ((top + row) * width + left), k = 0; k < SIDE; k++, i++, at += 3) {
        const weight = 1 / Math.max(1, Math.abs(this.difference[i]!));
        sums[at] = sums[at]! + weight * wayX;
        sums[at + 1] = sums[at + 1]! + weight * wayY;
        sums[at + 2] = sums[at + 2]! + weight;
      }
    }
  }
}

/** First pixels of patches that cover a side; the last one ends at its end. */
function spread(side: number): Int32Array {
  const count = Math.max(1, Math.ceil((side - SIDE) / STRIDE) + 1);
  return Int32Array.from({ length: count }, (_, i) => Math.max(0, Math.min(i * STRIDE, side - SIDE)));
}

/** The coarser level's way at the middle of a patch, in pixels of this one. */
function guess({ height, width, x, y }: Flow, top: number, left: number): [number, number] {
  const row = Math.min((top + SIDE / 2) >> 1, height - 1);
  const at = row * width + Math.min((left + SIDE / 2) >> 1, width - 1);
  return [2 * x[at]!, 2 * y[at]!];
}

function average(sums: Float32Array, { height, width }: Size): Flow {
  const x = new Float32Array(height * width);
  const y = new Float32Array(height * width);
  for (let i = 0; i < x.length; i++) {
    x[i] = sums[3 * i]! / sums[3 * i + 2]!;
    y[i] = sums[3 * i + 1]! / sums[3 * i + 2]!;
  }
  return { height, width, x, y };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

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

/** Difference of two first guesses, in pixels, below which one is enough. */
const LIKE = 0.2;

/**
 * Cost of a squared pixel from the first guess, as of a slope of one grey value a pixel. A plain patch, and an edge along
 * itself, stay where the coarser level saw them. Without it, and without the next one, strokes on a plain wall followed
 * the noise of a real clip and were lost after 30 frames; a quarter and three times as much keep them as well.
 */
const PULL = AREA;

/** Share of the cost to which a neighbour's way has to reduce it. Chosen, not measured. */
const BETTER = 0.7;

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
  /** The present patch and its way. */
  private top = 0;
  private left = 0;
  private x = 0;
  private y = 0;
  /** Differences under the present patch at the way that was compared last, without their mean. */
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
        this.top = rows[row]!;
        this.left = columns[column]!;
        this.begin(coarser, column ? i - 1 : -1, row ? i - count : -1);
        this.search();
        wayX[i] = this.x;
        wayY[i] = this.y;
        this.add(sums);
      }
    }
    return average(sums, this.before);
  }

  /** First guess: the coarser level's way, or that of a neighbour: a small thing may be lost on the coarser level. */
  private begin(coarser: Flow | undefined, ...neighbours: number[]): void {
    this.x = this.y = 0;
    if (coarser) {
      const row = Math.min((this.top + SIDE / 2) >> 1, coarser.height - 1);
      const at = row * coarser.width + Math.min((this.left + SIDE / 2) >> 1, coarser.width - 1);
      this.x = 2 * coarser.x[at]!;
      this.y = 2 * coarser.y[at]!;
    }
    let least = Number.NaN;
    for (const near of neighbours) {
      if (near < 0) continue;
      const x = this.wayX[near]!;
      const y = this.wayY[near]!;
      if (Math.abs(x - this.x) + Math.abs(y - this.y) < LIKE) continue;
      if (Number.isNaN(least)) least = this.compare(this.x, this.y);
      const cost = this.compare(x, y);
      if (cost >= BETTER * least) continue;
      least = cost;
      this.x = x;
      this.y = y;
    }
  }

  /** Moves the patch from its first guess to the place where it differs least. */
  private search(): void {
    const { width, dx, dy } = this.before;
    const { difference, top, left } = this;
    let xx = 0;
    let xy = 0;
    let yy = 0;
    let sumX = 0;
    let sumY = 0;
    for (let row = 0; row < SIDE; row++) {
      const start = (top + row) * width + left;
      for (let i = start; i < start + SIDE; i++) {
        const x = dx[i]!;
        const y = dy[i]!;
        xx += x * x;
        xy += x * y;
        yy += y * y;
        sumX += x;
        sumY += y;
      }
    }
    // Brightness is free: without the means of the slopes.
    xx += PULL - (sumX * sumX) / AREA;
    xy -= (sumX * sumY) / AREA;
    yy += PULL - (sumY * sumY) / AREA;
    const determinant = xx * yy - xy * xy;
    const firstX = this.x;
    const firstY = this.y;
    let least = this.compare(firstX, firstY);
    for (let step = 0; step < STEPS; step++) {
      let alongX = PULL * (this.x - firstX);
      let alongY = PULL * (this.y - firstY);
      for (let row = 0, i = 0; row < SIDE; row++) {
        const start = (top + row) * width + left;
        for (let at = start; at < start + SIDE; at++, i++) {
          alongX += dx[at]! * difference[i]!;
          alongY += dy[at]! * difference[i]!;
        }
      }
      const stepX = (yy * alongX - xy * alongY) / determinant;
      const stepY = (xx * alongY - xy * alongX) / determinant;
      const x = this.x - stepX;
      const y = this.y - stepY;
      const cost = this.compare(x, y) + PULL * ((x - firstX) ** 2 + (y - firstY) ** 2);
      if (!(cost < least)) break;
      least = cost;
      this.x = x;
      this.y = y;
      if (Math.abs(stepX) + Math.abs(stepY) < ARRIVED) break;
    }
    if (Math.hypot(this.x - firstX, this.y - firstY) <= SIDE) return;
    // A patch that ran off has found something else.
    this.x = firstX;
    this.y = firstY;
  }

  /** Squared difference of the patch from the second picture at a way, without the mean difference. */
  private compare(wayX: number, wayY: number): number {
    const { before, after, difference, top, left } = this;
    const x = clamp(left + wayX, 1 - MARGIN, after.width + MARGIN - SIDE - 2) + MARGIN;
    const y = clamp(top + wayY, 1 - MARGIN, after.height + MARGIN - SIDE - 2) + MARGIN;
    const column = Math.floor(x);
    const row = Math.floor(y);
    const right = x - column;
    const down = y - row;
    const a = (1 - right) * (1 - down);
    const b = right * (1 - down);
    const c = (1 - right) * down;
    const d = right * down;
    const here = before.data;
    const there = after.data;
    const { stride } = after;
    let sum = 0;
    let squares = 0;
    for (let line = 0, i = 0; line < SIDE; line++) {
      let at = (row + line) * stride + column;
      let from = (top + line + MARGIN) * before.stride + left + MARGIN;
      for (let k = 0; k < SIDE; k++, i++, at++, from++) {
        const value =
          a * there[at]! + b * there[at + 1]! + c * there[at + stride]! + d * there[at + stride + 1]! - here[from]!;
        difference[i] = value;
        sum += value;
        squares += value * value;
      }
    }
    const mean = sum / AREA;
    for (let i = 0; i < AREA; i++) difference[i] = difference[i]! - mean;
    return squares - mean * sum;
  }

  /** Adds the patch's way to the sums of its pixels, with less weight where it differs. */
  private add(sums: Float32Array): void {
    const { difference, x, y } = this;
    this.compare(x, y);
    for (let row = 0, i = 0; row < SIDE; row++) {
      let at = 3 * ((this.top + row) * this.before.width + this.left);
      for (let k = 0; k < SIDE; k++, i++, at += 3) {
        const weight = 1 / Math.max(1, Math.abs(difference[i]!));
        sums[at] = sums[at]! + weight * x;
        sums[at + 1] = sums[at + 1]! + weight * y;
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

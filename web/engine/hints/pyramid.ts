/** Pyramids of grey pictures for the optical flow. */
import type { Size } from "../picture.js";

/** Pixels by which a level is continued on each side: a patch and its way may lie half outside. */
export const MARGIN = 8;

/** A grey picture in [0, 255], row by row, its border pixels repeated {@link MARGIN} times on each side. */
export interface Level extends Size {
  /** Of a row of `data`. */
  readonly stride: number;
  readonly data: Float32Array;
  /** Slopes along x and y, of the pictures' pixels alone: central differences. */
  readonly dx: Float32Array;
  readonly dy: Float32Array;
}

/** Longer side of the coarsest level, at least: a patch is a quarter of it, as in OpenCV's DIS. */
const LEAST_SIDE = 30;

/**
 * The picture at half its side, a quarter, and so on.
 *
 * @param grey In [0, 255], `height * width` values.
 */
export function makePyramid(grey: Float32Array, size: Size): readonly Level[] {
  const levels: Level[] = [];
  let [data, { height, width }] = [grey, size];
  do {
    data = halve(data, { height, width });
    [height, width] = [(height + 1) >> 1, (width + 1) >> 1];
    levels.push(makeLevel(data, { height, width }));
  } while (Math.max(height, width) >= 2 * LEAST_SIDE);
  return levels;
}

/** Means of two by two pixels; the last row and column of an odd side are repeated. */
function halve(data: Float32Array, { height, width }: Size): Float32Array {
  const [rows, columns] = [(height + 1) >> 1, (width + 1) >> 1];
  const half = new Float32Array(rows * columns);
  for (let y = 0, to = 0; y < rows; y++) {
    const upper = 2 * y * width;
    const lower = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < columns; x++, to++) {
      const [left, right] = [2 * x, Math.min(2 * x + 1, width - 1)];
      half[to] = (data[upper + left]! + data[upper + right]! + data[lower + left]! + data[lower + right]!) / 4;
    }
  }
  return half;
}

function makeLevel(data: Float32Array, { height, width }: Size): Level {
  const stride = width + 2 * MARGIN;
  const wide = new Float32Array(stride * (height + 2 * MARGIN));
  for (let y = -MARGIN, to = 0; y < height + MARGIN; y++, to += stride) {
    const from = Math.min(Math.max(y, 0), height - 1) * width;
    wide.fill(data[from]!, to, to + MARGIN);
    wide.set(data.subarray(from, from + width), to + MARGIN);
    wide.fill(data[from + width - 1]!, to + MARGIN + width, to + stride);
  }
  const dx = new Float32Array(height * width);
  const dy = new Float32Array(height * width);
  for (let y = 0, i = 0; y < height; y++) {
    let at = (y + MARGIN) * stride + MARGIN;
    for (let x = 0; x < width; x++, i++, at++) {
      dx[i] = (wide[at + 1]! - wide[at - 1]!) / 2;
      dy[i] = (wide[at + stride]! - wide[at - stride]!) / 2;
    }
  }
  return { height, width, stride, data: wide, dx, dy };
}

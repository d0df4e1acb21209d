/** Reduced grey copies of a picture, on which motion is measured. */
import type { Picture } from "../picture.js";
import { reduce } from "../resize.js";
import { invert, type Motion } from "./motion.js";

export interface View {
  readonly width: number;
  readonly height: number;
  /** Luminance from 0 to 255. */
  readonly data: Float32Array;
}

/** A grey copy whose longer side is at most `longest`. */
export function makeView(picture: Picture, longest: number): View {
  const factor = Math.min(1, longest / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * factor));
  const height = Math.max(1, Math.round(picture.height * factor));
  const { data } = reduce(picture, { width, height });
  const grey = new Float32Array(width * height);
  for (let i = 0, at = 0; i < grey.length; i++, at += 4) {
    grey[i] = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
  }
  return { width, height, data: grey };
}

/** Half the size, smoothed: the means of 2 x 2. */
export function halveView(view: View): View {
  const [width, height] = [view.width >> 1, view.height >> 1];
  const data = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 2 * y * view.width + 2 * x;
      const sum = view.data[at]! + view.data[at + 1]! + view.data[at + view.width]! + view.data[at + view.width + 1]!;
      data[y * width + x] = sum / 4;
    }
  }
  return { width, height, data };
}

/** The view itself and `levels - 1` halved ones, the finest first. */
export function makePyramid(view: View, levels: number): View[] {
  const pyramid = [view];
  while (pyramid.length < levels) pyramid.push(halveView(pyramid[pyramid.length - 1]!));
  return pyramid;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Finds the best corner of each cell: the point with the largest change in every direction. */
export function findCorners(view: View, cell: number, margin: number): Point[] {
  const { width, height, data } = view;
  const strength = new Float32Array(width * height);
  const reach = 2;
  for (let y = margin; y < height - margin; y++) {
    for (let x = margin; x < width - margin; x++) {
      let [xx, xy, yy] = [0, 0, 0];
      for (let dy = -reach; dy <= reach; dy++) {
        for (let dx = -reach; dx <= reach; dx++) {
          const at = (y + dy) * width + x + dx;
          const gx = data[at + 1]! - data[at - 1]!;
          const gy = data[at + width]! - data[at - width]!;
          xx += gx * gx;
          xy += gx * gy;
          yy += gy * gy;
        }
      }
      // The smaller eigenvalue of the structure tensor (Shi and Tomasi 1994).
      strength[y * width + x] = (xx + yy - Math.sqrt((xx - yy) ** 2 + 4 * xy * xy)) / 2;
    }
  }
  const points: Point[] = [];
  for (let top = 0; top < height; top += cell) {
    for (let left = 0; left < width; left += cell) {
      let best = LEAST_STRENGTH;
      let point: Point | undefined;
      for (let y = top; y < Math.min(top + cell, height); y++) {
        for (let x = left; x < Math.min(left + cell, width); x++) {
          if (strength[y * width + x]! <= best) continue;
          best = strength[y * width + x]!;
          point = { x, y };
        }
      }
      if (point) points.push(point);
    }
  }
  return points;
}

/** Of 25 pixels: slopes of some three code values in every direction. */
const LEAST_STRENGTH = 25 * 2 * 9;
/** A moved view, bilinear; black outside, so that no corner is found there. */
export function warpView(view: View, motion: Motion): View {
  const { width, height, data } = view;
  const moved = new Float32Array(width * height);
  const back = invert(motion);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const depth = back[6]! * x + back[7]! * y + back[8]!;
      const u = (back[0]! * x + back[1]! * y + back[2]!) / depth;
      const v = (back[3]! * x + back[4]! * y + back[5]!) / depth;
      if (!(u >= 0 && v >= 0 && u < width - 1 && v < height - 1)) continue;
      const at = Math.floor(v) * width + Math.floor(u);
      const [a, b] = [u - Math.floor(u), v - Math.floor(v)];
      const upper = data[at]! + a * (data[at + 1]! - data[at]!);
      const lower = data[at + width]! + a * (data[at + width + 1]! - data[at + width]!);
      moved[to] = upper + b * (lower - upper);
    }
  }
  return { width, height, data: moved };
}

/** The rectangle that may have changed, to which the coarse network is restricted (`router/changed_region.py`). */
import type { Maps, Size } from "../picture.js";

/** A rectangle of the coarse input, in its pixels. */
export interface Region extends Size {
  readonly top: number;
  readonly left: number;
}

const SPREAD = 5;
const LEAST_CHANGE = 0.016;
const MOST_TOLERANCE = 0.05;
const NOISE_FACTOR = 3;
const QUIET_SHARE = 0.25;
const SAMPLE_STEP = 4;
const MARGIN = 32;
const GRAIN = 32;
const ALIGNMENT = 16;
const WORTHWHILE = 0.9;

/**
 * Finds the region in which a small source may differ from its small plate.
 *
 * @param source Three maps in [0, 1].
 * @param plate Four, the last 1 where the plate is known; unknown pixels count as changed.
 * @returns Undefined where nothing changed.
 */
export function findChange(source: Maps, plate: Maps): Region | undefined {
  const { height, width } = source;
  const area = height * width;
  const known = plate.data.subarray(3 * area);
  const difference = new Float32Array(area);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0, at = channel * area; i < area; i++, at++) {
      const off = Math.abs(source.data[at]! - plate.data[at]!);
      if (off > difference[i]!) difference[i] = off;
    }
  }
  const sample: number[] = [];
  for (let y = 0; y < height; y += SAMPLE_STEP) {
    for (let x = 0; x < width; x += SAMPLE_STEP) sample.push(difference[y * width + x]!);
  }
  const noise = Float32Array.from(sample).sort()[Math.floor(QUIET_SHARE * (sample.length - 1))]!;
  const limit = Math.min(LEAST_CHANGE + NOISE_FACTOR * noise, MOST_TOLERANCE);
  const mean = blur(difference, height, width);
  const rows = new Uint8Array(height);
  const columns = new Uint8Array(width);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (mean[i]! > limit || known[i] === 0) rows[y] = columns[x] = 1;
    }
  }
  return enclose(rows, columns);
}

/** The region around all changed rows and columns; the whole input where cutting would not pay. */
export function enclose(rows: Uint8Array, columns: Uint8Array): Region | undefined {
  if (!rows.includes(1)) return undefined;
  const [height, width] = [rows.length, columns.length];
  const [top, bottom] = span(rows);
  const [left, right] = span(columns);
  if ((bottom - top) * (right - left) > WORTHWHILE * height * width) return { top: 0, left: 0, height, width };
  return { top, left, height: bottom - top, width: right - left };
}

/** First and last (exclusive) index, with margin, widened to multiples of the grain. */
function span(changed: Uint8Array): [number, number] {
  const { length } = changed;
  const first = Math.floor(Math.max(0, changed.indexOf(1) - MARGIN) / ALIGNMENT) * ALIGNMENT;
  const last = Math.min(length, changed.lastIndexOf(1) + 1 + MARGIN);
  const size = Math.ceil((last - first) / GRAIN) * GRAIN;
  if (size >= length) return [0, length];
  if (first + size > length) return [Math.floor((length - size) / ALIGNMENT) * ALIGNMENT, length];
  return [first, first + size];
}

/** Mean over a square of `SPREAD` pixels, the edge repeated. */
function blur(map: Float32Array, height: number, width: number): Float32Array {
  const reach = SPREAD >> 1;
  const across = new Float32Array(map.length);
  for (let y = 0; y < height; y++) {
    const row = map.subarray(y * width, (y + 1) * width);
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let d = -reach; d <= reach; d++) sum += row[Math.min(Math.max(x + d, 0), width - 1)]!;
      across[y * width + x] = sum;
    }
  }
  const mean = new Float32Array(map.length);
  for (let y = 0; y < height; y++) {
    for (let d = -reach; d <= reach; d++) {
      const from = Math.min(Math.max(y + d, 0), height - 1) * width;
      for (let x = 0; x < width; x++) mean[y * width + x] = mean[y * width + x]! + across[from + x]!;
    }
    for (let x = 0; x < width; x++) mean[y * width + x] = mean[y * width + x]! / SPREAD ** 2;
  }
  return mean;
}

/** Copies the maps of a region (in pixels of the maps) into maps of `size` that are zero elsewhere. */
export function layInto(maps: Maps, region: Region, { height, width }: Size): Maps {
  const data = new Float32Array(maps.channels * height * width);
  for (let channel = 0; channel < maps.channels; channel++) {
    for (let y = 0; y < maps.height; y++) {
      const from = (channel * maps.height + y) * maps.width;
      const to = (channel * height + region.top + y) * width + region.left;
      data.set(maps.data.subarray(from, from + maps.width), to);
    }
  }
  return { channels: maps.channels, height, width, data };
}

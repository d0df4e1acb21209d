/** From the coarse result to alpha and foreground at full resolution (`router/numpy_router.py`). */
import type { Picture } from "../picture.js";
import { type Area, forEachRow, wholeArea } from "../resize.js";
import { CELL, type CellMask, planTiles, selectCells, type Tiles } from "./cells.js";
import { type Coarse, cutWindows, type Windows } from "./windows.js";

/** The refiner network: windows to `(count, 4, side, side)`, alpha and residual. */
export type RefinerNetwork = (windows: Windows, count: number) => Promise<Float32Array>;

/** The router's result, in reused buffers of the caller. */
export interface Matte {
  /** In [0, 1], one per pixel. */
  readonly alpha: Float32Array;
  /** Straight RGBA: the subject's own colour, and alpha. */
  readonly cutout: Picture;
}

/** Pixels that the refiner computes at once: bounds memory, and keeps windows in the processor's cache. */
const CHUNK_PIXELS = 1 << 15;

export interface Choice {
  /** Cells with a larger expected error are refined. */
  readonly threshold: number;
  /** Limit of their number (default: none). */
  readonly most?: number;
  /** Part of the picture outside of which the coarse result is zero (default: all of it). */
  readonly area?: Area;
}

export async function refine(
  source: Picture,
  plate: Picture,
  coarse: Coarse,
  { threshold, most, area = wholeArea(source) }: Choice,
  network: RefinerNetwork,
  matte: Matte,
): Promise<{ tiles: number; side: number }> {
  clearOutside(source, area, matte);
  const { alpha, cutout } = matte;
  const right = area.left + area.width;
  const placeAlpha = (row: Float32Array, y: number) =>
    alpha.set(row.subarray(area.left, right), y * source.width + area.left);
  forEachRow(coarse.alpha.data, coarse.alpha, source, placeAlpha, area);
  addResidual(source, coarse, cutout, area);
  const selected = selectCells(coarse.error, source, threshold, most);
  const tiles = planTiles(selected);
  const step = Math.max(1, Math.floor(CHUNK_PIXELS / tiles.side ** 2));
  for (let first = 0; first < tiles.top.length; first += step) {
    const last = Math.min(first + step, tiles.top.length);
    const refined = await network(cutWindows(source, plate, coarse, tiles, first, last), last - first);
    paste(refined, tiles, first, last, selected, source, matte);
  }
  for (let y = area.top; y < area.top + area.height; y++) {
    const end = y * source.width + right;
    for (let i = y * source.width + area.left; i < end; i++) cutout.data[4 * i + 3] = alpha[i]! * 255;
  }
  return { tiles: tiles.top.length, side: tiles.side };
}

function addResidual(source: Picture, { residual }: Coarse, into: Picture, area: Area): void {
  const { height, width } = residual;
  const right = area.left + area.width;
  for (let channel = 0; channel < 3; channel++) {
    const map = residual.data.subarray(channel * height * width, (channel + 1) * height * width);
    const add = (row: Float32Array, y: number) => {
      for (let x = area.left, at = 4 * (y * source.width + x) + channel; x < right; x++, at += 4) {
        into.data[at] = source.data[at]! + row[x]! * 255;
      }
    };
    forEachRow(map, residual, source, add, area);
  }
}

/** Outside of the area: the source's colour, alpha 0. */
function clearOutside(source: Picture, area: Area, { alpha, cutout }: Matte): void {
  const { width, height } = source;
  const from = words(source);
  const to = words(cutout);
  const clear = (first: number, last: number) => {
    for (let i = first; i < last; i++) to[i] = from[i]! & COLOUR;
    alpha.fill(0, first, last);
  };
  clear(0, area.top * width);
  for (let y = area.top; y < area.top + area.height; y++) {
    clear(y * width, y * width + area.left);
    clear(y * width + area.left + area.width, (y + 1) * width);
  }
  clear((area.top + area.height) * width, height * width);
}

/** Red, green and blue of a pixel as a number (little-endian, as every browser's machine is). */
const COLOUR = 0x00ffffff;

function words({ data }: Picture): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
}

/** Writes the selected cells of refined tiles. */
function paste(
  refined: Float32Array,
  tiles: Tiles,
  first: number,
  last: number,
  selected: CellMask,
  source: Picture,
  { alpha, cutout }: Matte,
): void {
  const { side } = tiles;
  const area = side * side;
  const { width } = source;
  for (let tile = first; tile < last; tile++) {
    const top = tiles.top[tile]! / CELL;
    const left = tiles.left[tile]! / CELL;
    const start = (tile - first) * 4 * area;
    for (let row = top; row < Math.min(top + side / CELL, selected.rows); row++) {
      for (let column = left; column < Math.min(left + side / CELL, selected.columns); column++) {
        if (!selected.data[row * selected.columns + column]) continue;
        for (let y = 0; y < CELL; y++) {
          let from = start + ((row - top) * CELL + y) * side + (column - left) * CELL;
          let to = (row * CELL + y) * width + column * CELL;
          for (let x = 0; x < CELL; x++, from++, to++) {
            alpha[to] = Math.min(Math.max(refined[from]!, 0), 1);
            for (let channel = 0; channel < 3; channel++) {
              const at = 4 * to + channel;
              cutout.data[at] = source.data[at]! + refined[from + (channel + 1) * area]! * 255;
            }
          }
        }
      }
    }
  }
}

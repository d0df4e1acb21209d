/** From the coarse result to alpha and foreground at full resolution (`router/numpy_router.py`). */
import type { Picture, Size } from "../picture.js";
import { enlarge, forEachRow } from "../resize.js";
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

export async function refine(
  source: Picture,
  plate: Picture,
  coarse: Coarse,
  threshold: number,
  network: RefinerNetwork,
  matte: Matte,
): Promise<{ tiles: number; side: number }> {
  enlarge(coarse.alpha.data, coarse.alpha, source, matte.alpha);
  addResidual(source, coarse, matte.cutout);
  const selected = selectCells(coarse.error, source, threshold);
  const tiles = planTiles(selected);
  const step = Math.max(1, Math.floor(CHUNK_PIXELS / tiles.side ** 2));
  for (let first = 0; first < tiles.top.length; first += step) {
    const last = Math.min(first + step, tiles.top.length);
    const refined = await network(cutWindows(source, plate, coarse, tiles, first, last), last - first);
    paste(refined, tiles, first, last, selected, source, matte);
  }
  const { alpha, cutout } = matte;
  for (let i = 0, at = 3; i < alpha.length; i++, at += 4) cutout.data[at] = alpha[i]! * 255;
  return { tiles: tiles.top.length, side: tiles.side };
}

function addResidual(source: Picture, { residual }: Coarse, into: Picture): void {
  const { height, width } = residual;
  const size: Size = { height: source.height, width: source.width };
  for (let channel = 0; channel < 3; channel++) {
    const map = residual.data.subarray(channel * height * width, (channel + 1) * height * width);
    forEachRow(map, { height, width }, size, (row, y) => {
      for (let x = 0, at = 4 * y * size.width + channel; x < size.width; x++, at += 4) {
        into.data[at] = source.data[at]! + row[x]! * 255;
      }
    });
  }
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

/** From the coarse result to alpha and foreground at full resolution (`router/numpy_router.py`). */
import { type Picture, pixelWords } from "../picture.js";
import { type Area, bilinearTaps, wholeArea } from "../resize.js";
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
  /** Whether the cut-out may be black where alpha is 0: for frames that are laid over a backdrop at once. */
  readonly bare?: boolean;
}

/** Alpha that becomes a byte of 0. */
const NOTHING = 0.5 / 255;

export async function refine(
  source: Picture,
  plate: Picture,
  coarse: Coarse,
  { threshold, most, area = wholeArea(source), bare = false }: Choice,
  network: RefinerNetwork,
  matte: Matte,
): Promise<{ tiles: number; side: number }> {
  if (bare) pixelWords(matte.cutout).fill(0);
  else clearOutside(source, area, matte);
  enlargeInto(matte, source, coarse, area, bare);
  const selected = selectCells(coarse.error, source, threshold, most);
  const tiles = planTiles(selected);
  const step = Math.max(1, Math.floor(CHUNK_PIXELS / tiles.side ** 2));
  for (let first = 0; first < tiles.top.length; first += step) {
    const last = Math.min(first + step, tiles.top.length);
    const refined = await network(cutWindows(source, plate, coarse, tiles, first, last), last - first);
    paste(refined, tiles, first, last, selected, source, matte);
  }
  return { tiles: tiles.top.length, side: tiles.side };
}

/** Alpha and residual at the source's size, bilinear; the colour is the source's plus the residual. */
function enlargeInto({ alpha, cutout }: Matte, source: Picture, coarse: Coarse, area: Area, bare: boolean): void {
  const { height, width } = coarse.alpha;
  const plane = height * width;
  const rows = bilinearTaps(height, source.height);
  const { low, high, share } = bilinearTaps(width, source.width);
  const right = area.left + area.width;
  const [first, last] = area.width ? [low[area.left]!, high[right - 1]!] : [0, -1];
  const from = pixelWords(source);
  const to = pixelWords(cutout);
  // One row of the four maps, enlarged downwards: alpha, and the residual in code values.
  const [a, r, g, b] = [0, 1, 2, 3].map(() => new Float32Array(width)) as [Row, Row, Row, Row];
  for (let y = area.top; y < area.top + area.height; y++) {
    const upper = rows.low[y]! * width;
    const lower = rows.high[y]! * width;
    const down = rows.share[y]!;
    for (let x = first; x <= last; x++) {
      const value = (map: Float32Array, start: number) =>
        map[start + upper + x]! + (map[start + lower + x]! - map[start + upper + x]!) * down;
      a[x] = value(coarse.alpha.data, 0);
      r[x] = 255 * value(coarse.residual.data, 0);
      g[x] = 255 * value(coarse.residual.data, plane);
      b[x] = 255 * value(coarse.residual.data, 2 * plane);
    }
    let [begin, end] = [area.left, right];
    if (bare) {
      // The span of the row that has a subject.
      const ratio = source.width / width;
      begin = Math.max(begin, Math.floor((a.findIndex((value) => value > NOTHING) - 1) * ratio));
      end = Math.min(end, Math.ceil((a.findLastIndex((value) => value > NOTHING) + 2) * ratio));
    }
    for (let x = begin, at = y * source.width + x; x < end; x++, at++) {
      const [left, next, across] = [low[x]!, high[x]!, share[x]!];
      const colour = from[at]!;
      const opacity = a[left]! + (a[next]! - a[left]!) * across;
      alpha[at] = opacity;
      const red = toByte((colour & 255) + r[left]! + (r[next]! - r[left]!) * across);
      const green = toByte(((colour >>> 8) & 255) + g[left]! + (g[next]! - g[left]!) * across);
      const blue = toByte(((colour >>> 16) & 255) + b[left]! + (b[next]! - b[left]!) * across);
      to[at] = red | (green << 8) | (blue << 16) | (toByte(255 * opacity) << 24);
    }
  }
}

type Row = Float32Array;

function toByte(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : (value + 0.5) | 0;
}

/** Outside of the area: the source's colour, alpha 0. */
function clearOutside(source: Picture, area: Area, { alpha, cutout }: Matte): void {
  const { width, height } = source;
  const from = pixelWords(source);
  const to = pixelWords(cutout);
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

const COLOUR = 0x00ffffff;

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
            const opacity = Math.min(Math.max(refined[from]!, 0), 1);
            alpha[to] = opacity;
            cutout.data[4 * to + 3] = opacity * 255;
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

/** The refiner's inputs, cut out of pictures and maps (`router/windows.py`). */
import type { Maps, Picture } from "../picture.js";
import type { Tiles } from "./cells.js";

/** Halo of a tile: two 3 x 3 convolutions at full resolution, two at half of it. */
const FULL_HALO = 2;
const HALF_HALO = 3;

/** Result of the coarse network, at its own size. */
export interface Coarse {
  readonly alpha: Maps;
  readonly residual: Maps;
  readonly error: Maps;
  readonly hidden: Maps;
}

export interface Windows {
  /** `(count, hidden + 10, halfSide, halfSide)`: hidden, alpha, residual, source and plate at half resolution. */
  readonly half: Float32Array;
  /** `(count, 6, fullSide, fullSide)`: source and plate. */
  readonly full: Float32Array;
  readonly halfSide: number;
  readonly fullSide: number;
}

export function windowSides(side: number): { halfSide: number; fullSide: number } {
  return { halfSide: side / 2 + 2 * HALF_HALO, fullSide: side + 2 * FULL_HALO };
}

/** Cuts the windows of the tiles from `first` to `last` (exclusive); zero outside of the picture. */
export function cutWindows(
  source: Picture,
  plate: Picture,
  coarse: Coarse,
  tiles: Tiles,
  first: number,
  last: number,
): Windows {
  const { halfSide, fullSide } = windowSides(tiles.side);
  const channels = coarse.hidden.channels + 10;
  const half = new Float32Array((last - first) * channels * halfSide ** 2);
  const full = new Float32Array((last - first) * 6 * fullSide ** 2);
  const rows = makeTaps(halfSide);
  const columns = makeTaps(halfSide);
  const halfHeight = source.height / 2;
  const halfWidth = source.width / 2;
  for (let tile = first; tile < last; tile++) {
    const top = tiles.top[tile]!;
    const left = tiles.left[tile]!;
    weigh(rows, coarse.alpha.height, halfHeight, top / 2 - HALF_HALO);
    weigh(columns, coarse.alpha.width, halfWidth, left / 2 - HALF_HALO);
    let at = (tile - first) * channels * halfSide ** 2;
    for (const maps of [coarse.hidden, coarse.alpha, coarse.residual]) {
      interpolate(maps, rows, columns, half, at);
      at += maps.channels * halfSide ** 2;
    }
    for (const picture of [source, plate]) {
      halvePart(picture, top / 2 - HALF_HALO, left / 2 - HALF_HALO, halfSide, half, at);
      at += 3 * halfSide ** 2;
    }
    at = (tile - first) * 6 * fullSide ** 2;
    copyPart(source, top - FULL_HALO, left - FULL_HALO, fullSide, full, at);
    copyPart(plate, top - FULL_HALO, left - FULL_HALO, fullSide, full, at + 3 * fullSide ** 2);
  }
  return { half, full, halfSide, fullSide };
}

/** Pixels of a map, with weights, for each pixel of a window along one axis; 0 outside of the picture. */
interface WindowTaps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly lowShare: Float32Array;
  readonly highShare: Float32Array;
}

function makeTaps(side: number): WindowTaps {
  return {
    low: new Int32Array(side),
    high: new Int32Array(side),
    lowShare: new Float32Array(side),
    highShare: new Float32Array(side),
  };
}

function weigh(taps: WindowTaps, size: number, enlarged: number, first: number): void {
  for (let i = 0; i < taps.low.length; i++) {
    const at = first + i;
    const inside = at >= 0 && at < enlarged ? 1 : 0;
    const position = Math.min(Math.max((at + 0.5) * (size / enlarged) - 0.5, 0), size - 1);
    const low = Math.floor(position);
    taps.low[i] = low;
    taps.high[i] = Math.min(low + 1, size - 1);
    taps.highShare[i] = (position - low) * inside;
    taps.lowShare[i] = (1 - (position - low)) * inside;
  }
}

function interpolate(maps: Maps, rows: WindowTaps, columns: WindowTaps, into: Float32Array, start: number): void {
  const { data, width, height } = maps;
  const side = rows.low.length;
  let to = start;
  for (let plane = 0; plane < maps.channels * height * width; plane += height * width) {
    for (let y = 0; y < side; y++) {
      const upper = plane + rows.low[y]! * width;
      const lower = plane + rows.high[y]! * width;
      const upperShare = rows.lowShare[y]!;
      const lowerShare = rows.highShare[y]!;
      for (let x = 0; x < side; x++, to++) {
        const low = columns.low[x]!;
        const high = columns.high[x]!;
        into[to] =
          columns.lowShare[x]! * (upperShare * data[upper + low]! + lowerShare * data[lower + low]!) +
          columns.highShare[x]! * (upperShare * data[upper + high]! + lowerShare * data[lower + high]!);
      }
    }
  }
}

const UNIT = 1 / 255;

function copyPart(picture: Picture, top: number, left: number, side: number, into: Float32Array, at: number): void {
  const { data, width, height } = picture;
  const area = side * side;
  for (let y = Math.max(0, -top); y < Math.min(side, height - top); y++) {
    const row = at + y * side;
    const from = (top + y) * width + left;
    for (let x = Math.max(0, -left); x < Math.min(side, width - left); x++) {
      const pixel = 4 * (from + x);
      into[row + x] = data[pixel]! * UNIT;
      into[row + x + area] = data[pixel + 1]! * UNIT;
      into[row + x + 2 * area] = data[pixel + 2]! * UNIT;
    }
  }
}

/** Means of 2 x 2 pixels, equal to bilinear resizing to half the size. */
function halvePart(picture: Picture, top: number, left: number, side: number, into: Float32Array, at: number): void {
  const { data, width, height } = picture;
  const area = side * side;
  const stride = 4 * width;
  for (let y = Math.max(0, -top); y < Math.min(side, height / 2 - top); y++) {
    const row = at + y * side;
    const from = 2 * (top + y) * width + 2 * left;
    for (let x = Math.max(0, -left); x < Math.min(side, width / 2 - left); x++) {
      const pixel = 4 * (from + 2 * x);
      for (let channel = 0; channel < 3; channel++) {
        const p = pixel + channel;
        into[row + x + channel * area] =
          (data[p]! + data[p + 4]! + data[p + stride]! + data[p + stride + 4]!) * (UNIT / 4);
      }
    }
  }
}

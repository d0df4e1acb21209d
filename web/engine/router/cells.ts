/** Selection of cells, and the tiles that cover them (`router/cells.py`). */
import type { Maps, Size } from "../picture.js";
import { forEachRow } from "../resize.js";

/** Side of a cell in pixels. */
export const CELL = 4;

export const TILE_SIDES = [8, 16, 32, 64] as const;

/** Overhead of a tile, as pixels added to its side. */
const COST_MARGIN = 6;

/** One byte per cell, 1 where it is to be refined. */
export interface CellMask {
  readonly rows: number;
  readonly columns: number;
  readonly data: Uint8Array;
}

/** Tiles of one side, by their first row and column in pixels. */
export interface Tiles {
  readonly side: number;
  readonly top: Int32Array;
  readonly left: Int32Array;
}

/** The cells of a picture of `size` whose expected error is above the threshold; of more than `most`, the worst. */
export function selectCells(error: Maps, size: Size, threshold: number, most = Number.POSITIVE_INFINITY): CellMask {
  const rows = size.height / CELL;
  const columns = size.width / CELL;
  const data = new Uint8Array(rows * columns);
  if (most === 0) return { rows, columns, data };
  const errors = new Float32Array(most < rows * columns ? rows * columns : 0);
  forEachRow(error.data, error, { height: rows, width: columns }, (row, y) => {
    if (errors.length) errors.set(row, y * columns);
    for (let x = 0; x < columns; x++) data[y * columns + x] = row[x]! > threshold ? 1 : 0;
  });
  if (errors.length && count(data) > most) {
    const limit = Math.max(threshold, limitOf(errors, most));
    for (let i = 0; i < data.length; i++) data[i] = errors[i]! > limit ? 1 : 0;
  }
  return { rows, columns, data };
}

/** The error, in steps of a thousandth, that at most `most` cells exceed. */
function limitOf(errors: Float32Array, most: number): number {
  const steps = 1000;
  const counts = new Uint32Array(steps + 1);
  for (let i = 0; i < errors.length; i++) counts[Math.min(steps, Math.max(0, Math.ceil(errors[i]! * steps) - 1))]!++;
  let sum = 0;
  for (let step = steps; step >= 0; step--) {
    sum += counts[step]!;
    if (sum > most) return (step + 1) / steps;
  }
  return 0;
}

/** Covers the selected cells with tiles of the side that costs least. */
export function planTiles(selected: CellMask): Tiles {
  let best: { cost: number; side: number; occupied: CellMask } | undefined;
  let occupied = selected;
  let step = 1;
  for (const side of TILE_SIDES) {
    while (step * CELL < side) {
      occupied = halve(occupied);
      step *= 2;
    }
    const cost = count(occupied.data) * (side + COST_MARGIN) ** 2;
    if (!best || cost < best.cost) best = { cost, side, occupied };
  }
  const { side, occupied: mask } = best!;
  const tiles = { side, top: new Int32Array(count(mask.data)), left: new Int32Array(count(mask.data)) };
  for (let i = 0, tile = 0; i < mask.data.length; i++) {
    if (!mask.data[i]) continue;
    tiles.top[tile] = Math.floor(i / mask.columns) * side;
    tiles.left[tile++] = (i % mask.columns) * side;
  }
  return tiles;
}

export function count(mask: Uint8Array): number {
  let sum = 0;
  for (const value of mask) sum += value;
  return sum;
}

/** Marks the blocks of 2 x 2 that hold a set cell. */
function halve(mask: CellMask): CellMask {
  const rows = Math.ceil(mask.rows / 2);
  const columns = Math.ceil(mask.columns / 2);
  const data = new Uint8Array(rows * columns);
  for (let y = 0, i = 0; y < mask.rows; y++) {
    for (let x = 0; x < mask.columns; x++, i++) {
      if (mask.data[i]) data[(y >> 1) * columns + (x >> 1)] = 1;
    }
  }
  return { rows, columns, data };
}

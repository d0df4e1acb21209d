/** Layout of pictures of one size for the model: padding and size of the coarse input (`layout.py`). */
import type { ModelRecord } from "./model.js";
import type { Size } from "./picture.js";
import { CELL } from "./router/cells.js";

/** `live` is the model's default for real time; `fine` has coarse inputs of 1.5 times the side. */
export type Quality = "live" | "fine";

/** Factor on the side of the coarse input. */
export const FINER: Readonly<Record<Quality, number>> = { live: 1, fine: 1.5 };

export interface Layout {
  readonly padded: Size;
  readonly coarse: Size;
}

const REFERENCE_LONG_SIDE = 1280;
const LEAST_GROWTH = 7 / 8;

/** Largest growth of a picture by padding for a whole ratio to the coarse input. */
const PADDING_LIMIT = 1.07;

export function layOut(record: ModelRecord, size: Size, finer: number): Layout {
  const scale = defaultScale(record, size, finer);
  const padded = padToWholeRatio(size, scale, record.size_multiple);
  const shrink = (side: number): number => {
    const multiple = record.size_multiple;
    const wanted = roundHalfEven((side * scale) / multiple);
    return Math.max(1, Math.min(wanted, Math.floor(side / multiple))) * multiple;
  };
  return { padded, coarse: { height: shrink(padded.height), width: shrink(padded.width) } };
}

function defaultScale(record: ModelRecord, { height, width }: Size, finer: number): number {
  const longest = Math.max(height, width);
  const growth = Math.max(Math.sqrt(longest / REFERENCE_LONG_SIDE), LEAST_GROWTH);
  const ratio = longest / (record.target_long_side * growth * finer);
  return 1 / Math.max(1, roundHalfEven(2 * ratio) / 2);
}

function padToWholeRatio(size: Size, scale: number, multiple: number): Size {
  const plain = padTo(size, CELL);
  const ratio = roundHalfEven(1 / scale);
  if (Math.abs(ratio * scale - 1) > 1e-9) return plain;
  const whole = padTo(size, leastCommonMultiple(CELL, ratio * multiple));
  return whole.height * whole.width <= PADDING_LIMIT * size.height * size.width ? whole : plain;
}

function padTo({ height, width }: Size, multiple: number): Size {
  return { height: Math.ceil(height / multiple) * multiple, width: Math.ceil(width / multiple) * multiple };
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y) [x, y] = [y, x % y];
  return (a / x) * b;
}

/** Python's `round`. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}

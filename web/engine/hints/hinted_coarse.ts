/** A hint in the coarse result, before cells are selected for the refiner (`hinted_coarse.py`). */
import { roundHalfEven } from "../layout.js";
import type { Picture, Size } from "../picture.js";
import { resizeMap, shrink } from "../resize.js";
import type { Coarse } from "../router/windows.js";
import { spreadHint } from "./hint_spread.js";
import type { Hint } from "./hint_tracking.js";
import { dilate, SQUARE } from "./morphology.js";

/** Change of alpha from which the hint decides, and the refiner does not run. */
const TAKEN = 0.05;

/**
 * Changes the coarse result by a hint; the same object if the hint agrees with it.
 *
 * Where the hint decides, the error is -1, so that no cell is refined, and the foreground is the source.
 *
 * @param source The padded picture.
 * @param frame Its size without the padding.
 */
export function applyHint(coarse: Coarse, hint: Hint, source: Picture, frame: Size): Coarse {
  const { alpha, residual, error } = coarse;
  const strokes = {
    white: fit(hint.white, hint, frame, source, alpha),
    black: fit(hint.black, hint, frame, source, alpha),
  };
  const own = alpha.data;
  const expected = error.data.map((value) => Math.min(Math.max(value, 0), 1));
  const spread = spreadHint(shrink(source, alpha, 3), own, expected, strokes);
  if (!spread?.some((value, i) => value !== own[i])) return coarse;
  const changed = spread.map((value, i) => own[i]! + hint.weight * (value - own[i]!));
  const taken = dilate(
    changed.map((value, i) => Math.abs(value - own[i]!)),
    alpha,
    SQUARE,
  );
  const area = own.length;
  // An opaque foreground is the source.
  const mixed = residual.data.map((value, i) => {
    const [before, after] = [own[i % area]!, changed[i % area]!];
    return after > before ? (value * (1 - after)) / Math.max(1 - before, 1e-6) : value;
  });
  return {
    ...coarse,
    alpha: { ...alpha, data: changed },
    residual: { ...residual, data: mixed },
    error: { ...error, data: error.data.map((value, i) => (taken[i]! > TAKEN ? -1 : value)) },
  };
}

/** Strokes at the size of the maps, which show the padded frame; the last row and column are repeated. */
function fit(mask: Float32Array, { height, width }: Size, frame: Size, padded: Size, maps: Size): Float32Array {
  const rows = Math.max(1, roundHalfEven((frame.height * maps.height) / padded.height));
  const columns = Math.max(1, roundHalfEven((frame.width * maps.width) / padded.width));
  const small = resizeMap(mask, { height, width }, { height: rows, width: columns });
  const whole = new Float32Array(maps.height * maps.width);
  for (let y = 0; y < maps.height; y++) {
    const start = Math.min(y, rows - 1) * columns;
    whole.set(small.subarray(start, start + columns), y * maps.width);
    whole.fill(small[start + columns - 1]!, y * maps.width + columns, (y + 1) * maps.width);
  }
  return whole;
}

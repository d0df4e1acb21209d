/** Matching of small squares of the plate in the frame, by normalised correlation. */
import { makeRandom } from "./motion.js";
import type { View } from "./view.js";

/** Half the side of a square. */
export const REACH = 5;

/** Standard deviation, of 255, below which a square shows noise only. */
const LEAST_TEXTURE = 1.5;

export interface Match {
  readonly u: number;
  readonly v: number;
  /** Correlation, at most 1; light that is brighter or flatter does not change it. */
  readonly likeness: number;
}

interface Square {
  readonly values: Float32Array;
  readonly deviation: number;
}

function cut(view: View, x: number, y: number): Square | undefined {
  const side = 2 * REACH + 1;
  if (x < REACH || y < REACH || x >= view.width - REACH || y >= view.height - REACH) return undefined;
  const values = new Float32Array(side * side);
  let sum = 0;
  for (let dy = 0, i = 0; dy < side; dy++) {
    const from = (y - REACH + dy) * view.width + x - REACH;
    for (let dx = 0; dx < side; dx++, i++) {
      values[i] = view.data[from + dx]!;
      sum += values[i]!;
    }
  }
  const mean = sum / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    values[i] = values[i]! - mean;
    squares += values[i]! ** 2;
  }
  return { values, deviation: Math.sqrt(squares) };
}

function correlate(square: Square, view: View, x: number, y: number): number {
  const side = 2 * REACH + 1;
  if (x < REACH || y < REACH || x >= view.width - REACH || y >= view.height - REACH) return -1;
  let [sum, squares, product] = [0, 0, 0];
  for (let dy = 0, i = 0; dy < side; dy++) {
    const from = (y - REACH + dy) * view.width + x - REACH;
    for (let dx = 0; dx < side; dx++, i++) {
      const value = view.data[from + dx]!;
      sum += value;
      squares += value * value;
      product += value * square.values[i]!;
    }
  }
  const count = side * side;
  const deviation = Math.sqrt(Math.max(0, squares - (sum * sum) / count));
  if (deviation < LEAST_TEXTURE * side) return -1;
  return product / (deviation * square.deviation);
}

/** Looks for the square of `plate` around whole `(x, y)` within `radius` pixels of `(u, v)` of the frame. */
export function findSquare(
  plate: View,
  frame: View,
  { x, y }: { x: number; y: number },
  at: { u: number; v: number },
  radius: number,
): Match | undefined {
  const square = cut(plate, x, y);
  if (!square || square.deviation < LEAST_TEXTURE * (2 * REACH + 1)) return undefined;
  const [u, v] = [Math.round(at.u), Math.round(at.v)];
  let best = { u, v, likeness: -1 };
  for (let dv = -radius; dv <= radius; dv++) {
    for (let du = -radius; du <= radius; du++) {
      const likeness = correlate(square, frame, u + du, v + dv);
      if (likeness > best.likeness) best = { u: u + du, v: v + dv, likeness };
    }
  }
  if (best.likeness <= 0) return undefined;
  // The top of the parabola through the best and its neighbours.
  const here = best.likeness;
  const fraction = (before: number, after: number): number => {
    const bend = before - 2 * here + after;
    return before < -0.99 || after < -0.99 || bend >= -1e-9
      ? 0
      : Math.min(Math.max((before - after) / (2 * bend), -0.5), 0.5);
  };
  return {
    u: best.u + fraction(correlate(square, frame, best.u - 1, best.v), correlate(square, frame, best.u + 1, best.v)),
    v: best.v + fraction(correlate(square, frame, best.u, best.v - 1), correlate(square, frame, best.u, best.v + 1)),
    likeness: here,
  };
}

/** Correlation of the squares around one place of both: -1 to 1; undefined where the plate is plain. */
export function likenessAt(plate: View, frame: View, x: number, y: number): number | undefined {
  const square = cut(plate, x, y);
  if (!square || square.deviation < LEAST_TEXTURE * (2 * REACH + 1)) return undefined;
  return correlate(square, frame, x, y);
}

/** Places spread over a view, the same every time. */
export function spreadPoints(view: View, count: number): { x: number; y: number }[] {
  const random = makeRandom(2);
  return Array.from({ length: count }, () => ({
    x: REACH + Math.floor(random() * (view.width - 2 * REACH)),
    y: REACH + Math.floor(random() * (view.height - 2 * REACH)),
  }));
}

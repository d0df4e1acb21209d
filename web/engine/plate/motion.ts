/** Motion of a camera between two pictures, and its robust estimation from pairs of points. */

/** A homography by rows, the last element 1: takes `(x, y, 1)` of the plate to the frame. */
export type Motion = readonly number[];

/** A point of the plate and its match in the frame. */
export interface Pair {
  readonly x: number;
  readonly y: number;
  readonly u: number;
  readonly v: number;
}

export const STILL: Motion = [1, 0, 0, 0, 1, 0, 0, 0, 1];

export function move(m: Motion, x: number, y: number): [number, number] {
  const depth = m[6]! * x + m[7]! * y + m[8]!;
  if (depth < 1e-9) return [Number.NaN, Number.NaN];
  return [(m[0]! * x + m[1]! * y + m[2]!) / depth, (m[3]! * x + m[4]! * y + m[5]!) / depth];
}

/** Composes two motions: `second` first, then `first`. */
export function compose(first: Motion, second: Motion): Motion {
  const product = Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [3 * Math.floor(i / 3), i % 3];
    return (
      first[row]! * second[column]! + first[row + 1]! * second[column + 3]! + first[row + 2]! * second[column + 6]!
    );
  });
  return product.map((value) => value / product[8]!);
}

export function invert(m: Motion): Motion {
  const [a, b, c, d, e, f, g, h, i] = m as [number, number, number, number, number, number, number, number, number];
  const adjugate = [
    e * i - f * h, c * h - b * i, b * f - c * e,
    f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d,
  ]; // biome-ignore format: a matrix
  return adjugate.map((value) => value / adjugate[8]!);
}

/** The same motion for pictures `factor` times as large; a picture's corner is at -0.5 at every size. */
export function enlargeMotion(motion: Motion, factorX: number, factorY: number): Motion {
  const grow: Motion = [factorX, 0, (factorX - 1) / 2, 0, factorY, (factorY - 1) / 2, 0, 0, 1];
  return compose(compose(grow, motion), invert(grow));
}

/** Largest displacement of a corner or the centre of a picture, in pixels. */
export function displacement(motion: Motion, width: number, height: number): number {
  let largest = 0;
  for (const x of [0, (width - 1) / 2, width - 1]) {
    for (const y of [0, (height - 1) / 2, height - 1]) {
      const [u, v] = move(motion, x, y);
      largest = Math.max(largest, Math.hypot(u - x, v - y));
    }
  }
  return largest;
}

/** Whether the motion is plausible: no fold, and limited zoom and rotation. */
export function isPlausible(motion: Motion, width: number, height: number): boolean {
  const areas: number[] = [];
  for (const x of [0, width - 1]) {
    for (const y of [0, height - 1]) {
      const [at, right, down] = [move(motion, x, y), move(motion, x + 1, y), move(motion, x, y + 1)];
      areas.push((right[0] - at[0]) * (down[1] - at[1]) - (right[1] - at[1]) * (down[0] - at[0]));
    }
  }
  const [least, most] = [Math.min(...areas), Math.max(...areas)];
  return least > 0.4 && most < 2.5 && most < 1.6 * least && Math.abs(Math.atan2(motion[3]!, motion[0]!)) < 0.5;
}

const ROUNDS = 600;
const FINEST_DEVIATION = 0.03;

/** Deviations at which Tukey's biweight reaches zero. */
const TUKEY = 4.685;

/** Penalty of a parameter in units of log(pairs): few pairs do not justify a flexible motion. */
const FREEDOM_PRICE = 4;

export interface Consensus {
  readonly motion: Motion;
  readonly inliers: readonly Pair[];
}

/**
 * Estimates the motion that agrees with most pairs, to `tolerance` pixels.
 *
 * Random pairs of pairs propose similarities (RANSAC, Fischler and Bolles 1981). The inliers of the best are fitted by
 * a translation, a similarity and a homography with Tukey's biweight; a penalty on parameters selects one of the three.
 */
export function estimateMotion(pairs: readonly Pair[], tolerance: number): Consensus | undefined {
  if (pairs.length < 6) return undefined;
  const random = makeRandom(1);
  let best: Pair[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const first = pairs[Math.floor(random() * pairs.length)]!;
    const second = pairs[Math.floor(random() * pairs.length)]!;
    if (Math.hypot(first.x - second.x, first.y - second.y) < 10 * tolerance) continue;
    // A proposed similarity only approximates a motion with perspective; so the tolerance is doubled.
    const agreeing = agree(solveSimilarity([first, second], [1, 1]), pairs, 2 * tolerance);
    if (agreeing.length > best.length) best = agreeing;
  }
  if (best.length < 6) return undefined;
  for (let round = 0; round < 3; round++) {
    const supple = fitRobustly(best.length >= 12 ? solveHomography : solveSimilarity, best);
    const agreeing = agree(supple, pairs, tolerance);
    if (agreeing.length < 6) return undefined;
    best = agreeing;
  }
  const fits = [solveTranslation, solveSimilarity, solveHomography].map((solver) => fitRobustly(solver, best));
  const deviation = Math.max(FINEST_DEVIATION, 1.4826 * median(distances(fits[2]!, best)));
  const costs = fits.map((fit, i) => {
    const price = FREEDOM_PRICE * [2, 4, 8][i]! * Math.log(best.length);
    return distances(fit, best).reduce((sum, d) => sum + Math.min(d / deviation, TUKEY) ** 2, price);
  });
  const motion = fits[costs.indexOf(Math.min(...costs))]!;
  return { motion, inliers: agree(motion, best, tolerance) };
}

type Solver = (pairs: readonly Pair[], weights: readonly number[]) => Motion;

function agree(motion: Motion, pairs: readonly Pair[], tolerance: number): Pair[] {
  const off = distances(motion, pairs);
  return pairs.filter((_, i) => off[i]! < tolerance);
}

function distances(motion: Motion, pairs: readonly Pair[]): number[] {
  return pairs.map(({ x, y, u, v }) => {
    const [a, b] = move(motion, x, y);
    return Math.hypot(a - u, b - v);
  });
}

function fitRobustly(solve: Solver, pairs: readonly Pair[]): Motion {
  let weights: number[] = pairs.map(() => 1);
  let motion = solve(pairs, weights);
  for (let round = 0; round < 6; round++) {
    const off = distances(motion, pairs);
    const reach = TUKEY * Math.max(FINEST_DEVIATION, 1.4826 * median(off));
    weights = off.map((d) => Math.max(0, 1 - (d / reach) ** 2) ** 2);
    motion = solve(pairs, weights);
  }
  return motion;
}

function solveTranslation(pairs: readonly Pair[], weights: readonly number[]): Motion {
  let [x, y, total] = [0, 0, 1e-12];
  pairs.forEach((pair, i) => {
    x += weights[i]! * (pair.u - pair.x);
    y += weights[i]! * (pair.v - pair.y);
    total += weights[i]!;
  });
  return [1, 0, x / total, 0, 1, y / total, 0, 0, 1];
}

function solveSimilarity(pairs: readonly Pair[], weights: readonly number[]): Motion {
  const rows = pairs.flatMap(({ x, y, u, v }, i) => [
    { weight: weights[i]!, row: [x, -y, 1, 0], value: u },
    { weight: weights[i]!, row: [y, x, 0, 1], value: v },
  ]);
  const [a, b, c, d] = solveLeastSquares(rows, 4) as [number, number, number, number];
  return [a, -b, c, b, a, d, 0, 0, 1];
}

function solveHomography(pairs: readonly Pair[], weights: readonly number[]): Motion {
  // Coordinates of the order of 1, or the equations are badly conditioned (Hartley 1997).
  const size = Math.max(...pairs.map(({ x, y }) => Math.max(x, y)), 1) / 2;
  const rows = pairs.flatMap((pair, i) => {
    const [x, y, u, v] = [pair.x / size - 1, pair.y / size - 1, pair.u / size - 1, pair.v / size - 1];
    return [
      { weight: weights[i]!, row: [x, y, 1, 0, 0, 0, -u * x, -u * y], value: u },
      { weight: weights[i]!, row: [0, 0, 0, x, y, 1, -v * x, -v * y], value: v },
    ];
  });
  const scale: Motion = [1 / size, 0, -1, 0, 1 / size, -1, 0, 0, 1];
  return compose(invert(scale), compose([...solveLeastSquares(rows, 8), 1], scale));
}

interface Equation {
  readonly weight: number;
  readonly row: readonly number[];
  readonly value: number;
}

/** Weighted least squares by normal equations and Gauss's elimination. */
export function solveLeastSquares(equations: readonly Equation[], unknowns: number): number[] {
  const m = Array.from({ length: unknowns }, () => new Array<number>(unknowns + 1).fill(0));
  for (const { weight, row, value } of equations) {
    for (let i = 0; i < unknowns; i++) {
      const factor = weight * row[i]!;
      if (!factor) continue;
      for (let j = 0; j < unknowns; j++) m[i]![j]! += factor * row[j]!;
      m[i]![unknowns]! += factor * value;
    }
  }
  for (let i = 0; i < unknowns; i++) m[i]![i]! += 1e-9;
  for (let i = 0; i < unknowns; i++) {
    let pivot = i;
    for (let j = i + 1; j < unknowns; j++) if (Math.abs(m[j]![i]!) > Math.abs(m[pivot]![i]!)) pivot = j;
    [m[i], m[pivot]] = [m[pivot]!, m[i]!];
    for (let j = 0; j < unknowns; j++) {
      if (j === i) continue;
      const factor = m[j]![i]! / m[i]![i]!;
      for (let k = i; k <= unknowns; k++) m[j]![k]! -= factor * m[i]![k]!;
    }
  }
  return m.map((row, i) => row[unknowns]! / row[i]!);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** Reproducible random numbers (mulberry32): a reloaded page must give the same registration. */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

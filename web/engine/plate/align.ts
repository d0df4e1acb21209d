/**
 * Motion of the camera between plate and frame: corners of the plate are matched in the frame, coarse to fine.
 *
 * The subject is not in the plate: squares that it covers are outliers. A motion is used only
 * if enough of the picture agrees on it; otherwise the plate stays where it is.
 */
import { findSquare } from "./matching.js";
import {
  type Consensus,
  compose,
  displacement,
  estimateMotion,
  isPlausible,
  type Motion,
  move,
  type Pair,
  STILL,
} from "./motion.js";
import { findCorners, makePyramid, type Point, type View, warpView } from "./view.js";

const CELL = 22;
const LEVELS = 4;

/** Half the side of the area searched at the coarsest level, of the picture's longer side. */
const SEARCH_SHARE = 0.12;
const FINER_RADIUS = 3;
const TOLERANCE = 1.5;

/** Smallest correlation of two squares that may match. */
const LIKENESS = 0.8;

const LEAST_PAIRS = 12;

/** Parts of a 4 x 4 division of the picture that must agree. */
const LEAST_PARTS = 4;

export interface Alignment {
  readonly motion: Motion;
  /** Whether enough points agree that the plate lies where `motion` puts it. */
  readonly supported: boolean;
}

/** Finds the motion from plate to frame; `motion` is the identity if none can be trusted. */
export function align(plate: View, frame: View): Alignment {
  const none: Alignment = { motion: STILL, supported: false };
  const levels = Math.max(1, Math.min(LEVELS, Math.floor(Math.log2(Math.min(plate.width, plate.height) / 32))));
  const plates = makePyramid(plate, levels);
  const frames = makePyramid(frame, levels);
  let motion: Motion = STILL;
  for (let level = levels - 1; level >= 0; level--) {
    const here = plates[level]!;
    const coarsest = level === levels - 1;
    const radius = coarsest ? Math.ceil(SEARCH_SHARE * Math.max(here.width, here.height)) : FINER_RADIUS;
    const corners = findCorners(here, coarsest ? 8 : CELL, 7);
    const found = estimateMotion(pairUp(here, frames[level]!, corners, motion, radius), TOLERANCE);
    if (!found || !isPlausible(found.motion, here.width, here.height)) return none;
    motion = level ? double(found.motion) : found.motion;
  }
  // Squares of a turned or zoomed picture do not match exactly: what is left shows once the plate was moved.
  let last: Consensus | undefined;
  for (let round = 0; round < 2; round++) {
    const moved = warpView(plate, motion);
    const corners = findCorners(moved, CELL, 7);
    last = estimateMotion(pairUp(moved, frame, corners, STILL, 1), TOLERANCE / 2);
    if (!last) return none;
    motion = compose(last.motion, motion);
  }
  const trusted =
    last !== undefined &&
    last.inliers.length >= LEAST_PAIRS &&
    countParts(last.inliers, plate) >= LEAST_PARTS &&
    isPlausible(motion, plate.width, plate.height) &&
    displacement(last.motion, plate.width, plate.height) < 1;
  return trusted ? { motion, supported: true } : none;
}

function pairUp(plate: View, frame: View, points: readonly Point[], motion: Motion, radius: number): Pair[] {
  return points.flatMap((point) => {
    const [u, v] = move(motion, point.x, point.y);
    const match = findSquare(plate, frame, point, { u, v }, radius);
    return match && match.likeness > LIKENESS ? [{ ...point, u: match.u, v: match.v }] : [];
  });
}

/** A motion at the next finer level, whose pixel centres lie a quarter of a pixel off. */
function double(motion: Motion): Motion {
  const grow: Motion = [2, 0, 0.5, 0, 2, 0.5, 0, 0, 1];
  return compose(grow, compose(motion, [0.5, 0, -0.25, 0, 0.5, -0.25, 0, 0, 1]));
}

function countParts(pairs: readonly Pair[], { width, height }: View): number {
  return new Set(pairs.map(({ x, y }) => 4 * Math.floor((4 * y) / height) + Math.floor((4 * x) / width))).size;
}

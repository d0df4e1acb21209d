/** White and black strokes of a hint, at the size of hints (`hint_sources.py`). */
import { CleanplateError } from "../errors.js";
import { roundHalfEven } from "../layout.js";
import type { Picture, Size } from "../picture.js";
import { resizeMap } from "../resize.js";
import { dilate, disc, SQUARE } from "./morphology.js";

/** The numbers of the Python module: greys in code values. */
const SIDE = 480;
const WHITE = 0.9 * 255;
const BLACK = 0.1 * 255;
const LEAST_SHARE = 0.3;
const CONTACT = 5;
const LARGEST_STRETCH = 0.015;

/** Strokes on one frame: 1 on them, 0 elsewhere. */
export interface Strokes extends Size {
  readonly white: Float32Array;
  readonly black: Float32Array;
}

/** Reads the strokes of a picture of any size with the frame's aspect ratio; transparent pixels say nothing. */
export function readStrokes(hint: Picture, frame: Size): Strokes {
  const aspect = (hint.width * frame.height) / (hint.height * frame.width);
  if (Math.abs(aspect - 1) > LARGEST_STRETCH) {
    throw new CleanplateError(
      "input",
      `The hint is ${hint.width} x ${hint.height} and the picture ${frame.width} x ${frame.height}: another shape.`,
      "Paint the hint over the picture.",
    );
  }
  const size = hintSize(frame);
  const [whole, dark] = splitStrokes(hint);
  const shares = [whole, dark].map((part) => resizeMap(part, hint, size)) as [Float32Array, Float32Array];
  const white = shares[0].map((share, i) => (share >= LEAST_SHARE && share >= shares[1][i]! ? 1 : 0));
  const black = shares[1].map((share, i) => (share >= LEAST_SHARE && !white[i] ? 1 : 0));
  // White and black that touch each other say nothing.
  const [nearWhite, nearBlack] = [dilate(white, size, SQUARE), dilate(black, size, SQUARE)];
  const contact = dilate(
    nearWhite.map((value, i) => value * nearBlack[i]!),
    size,
    disc(CONTACT),
  );
  const known = (value: number, i: number) => (contact[i] ? 0 : value);
  return { ...size, white: white.map(known), black: black.map(known) };
}

/** Size of hints on a frame: the frame's, reduced to a longer side of 480. */
export function hintSize({ height, width }: Size): Size {
  const scale = Math.min(1, SIDE / Math.max(height, width));
  return { height: Math.max(1, roundHalfEven(height * scale)), width: Math.max(1, roundHalfEven(width * scale)) };
}

function splitStrokes({ data, width, height }: Picture): [Float32Array, Float32Array] {
  const white = new Float32Array(width * height);
  const black = new Float32Array(width * height);
  let found = false;
  for (let i = 0, at = 0; i < white.length; i++, at += 4) {
    if (data[at + 3]! < 127.5) continue;
    const grey = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
    if (grey >= WHITE) white[i] = 1;
    else if (grey <= BLACK) black[i] = 1;
    else continue;
    found = true;
  }
  if (!found) throw new CleanplateError("input", "The hint has neither white nor black parts.");
  return [white, black];
}

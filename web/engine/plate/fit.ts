/** Fit of the plate to the frame: size, registration, exposure, and the unknown area. */
import { CleanplateError } from "../errors.js";
import { makePicture, type Picture } from "../picture.js";
import { reduce, shrink } from "../resize.js";
import { align } from "./align.js";
import { applyGain, estimateGain, type Gain, SAME_LIGHT } from "./gain.js";
import { likenessAt, spreadPoints } from "./matching.js";
import { displacement, enlargeMotion, type Motion } from "./motion.js";
import { halveView, makeView, type View, warpView } from "./view.js";
import { warp } from "./warp.js";

export interface Fit {
  /** Whether the plate was registered. */
  readonly moved: boolean;
  /** Largest motion of a corner, in pixels of the frame. */
  readonly shiftPixels: number;
  /** Factors on red, green and blue of the plate. */
  readonly gain: Gain;
  /** Notes for the user, in sentences. */
  readonly notes: readonly string[];
}

export interface FittedPlate {
  /** Of the frame's size; the fourth channel 255 where the plate is known, all four 0 where it is not. */
  readonly picture: Picture;
  readonly fit: Fit;
}

const SEARCH_SIDE = 960;
const LIGHT_SIDE = 320;

/** Motion in pixels of the frame below which the plate is not interpolated. */
const STILL_PIXELS = 0.25;

/** Largest stretch of one side to give the plate the frame's aspect ratio. */
const LARGEST_STRETCH = 0.01;

/** Share of the plate's texture that a frame repeats by chance, and one that a place just recognisable repeats. */
const OTHER_PLACE = 0.05;
const DOUBTFUL_PLACE = 0.12;
const PLACE_SIDE = 320;
const REPEATED = 0.7;
const PROBES = 1500;
const LEAST_PROBES = 200;

/**
 * Fits the plate to the frame.
 *
 * @throws {CleanplateError} `plate`: another shape than the frame's, or plainly another place.
 */
export function fitPlate(plate: Picture, frame: Picture): FittedPlate {
  const resized = matchSize(plate, frame);
  const notes: string[] = [];
  const frameView = makeView(frame, SEARCH_SIDE);
  let plateView = makeView(resized, SEARCH_SIDE);
  const found = align(plateView, frameView);
  const motion = enlargeMotion(found.motion, frame.width / plateView.width, frame.height / plateView.height);
  const shift = displacement(motion, frame.width, frame.height);
  const moved = found.supported && shift > STILL_PIXELS;
  if (moved) plateView = warpView(plateView, found.motion);
  if (!found.supported) notes.push(...doubtPlace(plateView, frameView));
  const placed = moved ? warp(resized, motion, frame) : makeOpaque(resized);
  const gain = matchLight(placed, frame);
  if (gain !== SAME_LIGHT) applyGain(placed.data, gain, placed.data);
  return { picture: placed, fit: { moved, shiftPixels: moved ? shift : 0, gain, notes } };
}

/** Uses the plate as it is, at the frame's size; unknown where it is not opaque. */
export function takePlate(plate: Picture, frame: Picture): FittedPlate {
  const picture = makePicture(frame.width, frame.height);
  const resized = matchSize(plate, frame);
  for (let i = 0; i < picture.data.length; i += 4) {
    if (resized.data[i + 3] === 255) picture.data.set(resized.data.subarray(i, i + 4), i);
  }
  return { picture, fit: { moved: false, shiftPixels: 0, gain: SAME_LIGHT, notes: [] } };
}

function matchSize(plate: Picture, frame: Picture): Picture {
  const stretch = (plate.width * frame.height) / (plate.height * frame.width);
  if (Math.abs(stretch - 1) > LARGEST_STRETCH) {
    const turned = (plate.height * frame.height) / (plate.width * frame.width);
    throw new CleanplateError(
      "plate",
      `The plate is ${plate.width} x ${plate.height} and the picture ${frame.width} x ${frame.height}: another shape.`,
      Math.abs(turned - 1) <= LARGEST_STRETCH
        ? "Turn one of them by 90 degrees."
        : "Both must come from the same camera, uncropped.",
    );
  }
  if (plate.width === frame.width && plate.height === frame.height) return plate;
  if (plate.width >= frame.width && plate.height >= frame.height) return reduce(plate, frame);
  const factor = [frame.width / plate.width, frame.height / plate.height] as const;
  const grow: Motion = [factor[0], 0, (factor[0] - 1) / 2, 0, factor[1], (factor[1] - 1) / 2, 0, 0, 1];
  return warp(plate, grow, frame);
}

/** A copy whose fourth channel is 255 everywhere. */
function makeOpaque(picture: Picture): Picture {
  const copy = makePicture(picture.width, picture.height);
  copy.data.set(picture.data);
  for (let i = 3; i < copy.data.length; i += 4) copy.data[i] = 255;
  return copy;
}

function matchLight(plate: Picture, frame: Picture): Gain {
  const plateView = makeView(plate, LIGHT_SIDE);
  const frameView = makeView(frame, LIGHT_SIDE);
  const [plateMaps, frameMaps] = [shrink(plate, plateView, 4), shrink(frame, plateView, 3)];
  const known = plateMaps.data.subarray(3 * plateView.width * plateView.height);
  return estimateGain(plateMaps, frameMaps, (index) => {
    if (known[index]! < 0.999) return 0;
    const [x, y] = [index % plateView.width, Math.floor(index / plateView.width)];
    const likeness = likenessAt(plateView, frameView, x, y);
    // Matching detail is evidence for a match, detail in one only is evidence against; plain parts are neutral.
    return likeness === undefined ? 0.15 : 0.02 + Math.max(0, likeness) ** 3;
  });
}

function doubtPlace(plate: View, frame: View): string[] {
  const share = repeatedTexture(plate, frame);
  if (share === undefined) return [];
  if (share < OTHER_PLACE) {
    throw new CleanplateError(
      "plate",
      "The photo and the plate do not fit: nothing of the plate was found in the photo.",
      "Shoot both from the same spot, one with and one without the subject.",
    );
  }
  if (share < DOUBTFUL_PLACE) return ["The plate may show another place: hardly any of it was found in the photo."];
  return share < 0.5 ? ["The camera's motion could not be measured; the plate was not moved."] : [];
}

/** Share of the plate's texture that the frame shows in the same position; nothing where the plate is too plain. */
export function repeatedTexture(plate: View, frame: View): number | undefined {
  const [small, other] = [shrinkView(plate), shrinkView(frame)];
  let [probes, hits] = [0, 0];
  for (const { x, y } of spreadPoints(small, PROBES)) {
    const likeness = likenessAt(small, other, x, y);
    if (likeness === undefined) continue;
    probes++;
    if (likeness > REPEATED) hits++;
  }
  return probes < LEAST_PROBES ? undefined : hits / probes;
}

function shrinkView(view: View): View {
  let small = view;
  while (Math.max(small.width, small.height) >= 2 * PLACE_SIDE) small = halveView(small);
  return small;
}

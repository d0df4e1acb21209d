/** The *over* equation in 8 bits, for frames of videos. */
import type { Picture } from "../picture.js";
import type { Area } from "../resize.js";

/** Two channels of a pixel, each with a byte of room above. */
const PAIR = 0x00ff00ff;
const HALVES = 0x00800080;
const OPAQUE = 0xff000000;

/**
 * Lays a cut-out over a backdrop of the same size.
 *
 * @param cutout Straight RGBA.
 * @param area Part outside of which alpha is 0.
 * @param backdrop One opaque pixel a number; none: the result is the cut-out.
 */
export function compose(cutout: Picture, area: Area, backdrop: Uint32Array | undefined, into: Uint32Array): void {
  const { width, height, data } = cutout;
  const from = new Uint32Array(data.buffer, data.byteOffset, width * height);
  if (!backdrop) {
    into.set(from);
    return;
  }
  into.set(backdrop);
  const bottom = Math.min(height, area.top + area.height);
  const right = Math.min(width, area.left + area.width);
  for (let y = area.top; y < bottom; y++) {
    const end = y * width + right;
    for (let i = y * width + area.left; i < end; i++) {
      const above = from[i]!;
      const alpha = above >>> 24;
      if (alpha === 255) into[i] = above;
      else if (alpha) {
        const below = backdrop[i]!;
        const rest = 255 - alpha;
        into[i] =
          OPAQUE | ((mix(above >>> 8, below >>> 8, alpha, rest) << 8) & 0x0000ff00) | mix(above, below, alpha, rest);
      }
    }
  }
}

/** Mean of two pairs of channels, weights of 255 in all, rounded. */
function mix(above: number, below: number, alpha: number, rest: number): number {
  const sum = (Math.imul(above & PAIR, alpha) + Math.imul(below & PAIR, rest) + HALVES) >>> 0;
  return ((sum + ((sum >>> 8) & PAIR)) >>> 8) & PAIR;
}

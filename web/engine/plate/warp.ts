/** Warp of a plate to the camera's position. */
import { makePicture, type Picture, type Size } from "../picture.js";
import { invert, type Motion } from "./motion.js";

/**
 * Warps the picture by `motion`, bicubic, its edge repeated.
 *
 * The fourth channel is the plate's validity: 255, or 0 outside of the plate, where the colour is 0, too.
 */
export function warp(picture: Picture, motion: Motion, size: Size): Picture {
  const { data, width, height } = picture;
  const moved = makePicture(size.width, size.height);
  const back = invert(motion);
  const xs = new Int32Array(4);
  const wx = new Float64Array(4);
  const wy = new Float64Array(4);
  for (let y = 0, to = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++, to += 4) {
      const depth = back[6]! * x + back[7]! * y + back[8]!;
      const u = (back[0]! * x + back[1]! * y + back[2]!) / depth;
      const v = (back[3]! * x + back[4]! * y + back[5]!) / depth;
      if (!(depth > 0 && u >= -0.5 && v >= -0.5 && u <= width - 0.5 && v <= height - 0.5)) continue;
      const left = Math.floor(u);
      const top = Math.floor(v);
      weighCubic(u - left, wx);
      weighCubic(v - top, wy);
      for (let i = 0; i < 4; i++) xs[i] = 4 * Math.min(Math.max(left - 1 + i, 0), width - 1);
      let [r, g, b] = [0, 0, 0];
      for (let j = 0; j < 4; j++) {
        const row = 4 * width * Math.min(Math.max(top - 1 + j, 0), height - 1);
        for (let i = 0; i < 4; i++) {
          const at = row + xs[i]!;
          const weight = wx[i]! * wy[j]!;
          r += weight * data[at]!;
          g += weight * data[at + 1]!;
          b += weight * data[at + 2]!;
        }
      }
      moved.data[to] = r;
      moved.data[to + 1] = g;
      moved.data[to + 2] = b;
      moved.data[to + 3] = 255;
    }
  }
  return moved;
}

/** Keys' cubic convolution (1981) with a = -0.75, as OpenCV has it. */
function weighCubic(t: number, weights: Float64Array): void {
  const a = -0.75;
  weights[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
  weights[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
  weights[2] = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1;
  weights[3] = 1 - weights[0] - weights[1] - weights[2];
}

import { describe, expect, it } from "vitest";
import { readStrokes } from "../../engine/hints/hint_strokes.js";
import { applyHint } from "../../engine/hints/hinted_coarse.js";
import { type Maps, makeMaps, makePicture, pad } from "../../engine/picture.js";
import type { Coarse } from "../../engine/router/windows.js";
import { largestDifference, readVectors, unpack, unpackPicture } from "./vectors.js";

const vectors = readVectors("hint");
const frame = unpackPicture(vectors.frame);
const source = pad(frame, { height: 120, width: 160 });
const coarse: Coarse = {
  alpha: fromBytes(vectors.alpha),
  error: fromBytes(vectors.error),
  residual: { ...makeMaps(3, 60, 80), data: new Float32Array(3 * 60 * 80).fill(0.25) },
  hidden: makeMaps(1, 60, 80),
};

describe("a hint gives the numbers of the Python package", () => {
  it("reads white and black strokes, and nothing where they touch or are transparent", () => {
    const read = readStrokes(strokes(), frame);
    expect([read.height, read.width]).toEqual([118, 158]);
    expect([...read.white]).toEqual([...unpack(vectors.white)]);
    expect([...read.black]).toEqual([...unpack(vectors.black)]);
  });

  it("fills a hole, removes an island, and stops at an edge of the picture", () => {
    const changed = applyHint(coarse, { ...readStrokes(strokes(), frame), weight: 1 }, source, frame);
    for (const name of ["alpha", "error"] as const) {
      expect(largestDifference(changed[name].data, unpack(vectors.changed[name])), name).toBeLessThan(1e-4);
    }
    const residual = changed.residual.data.subarray(0, 60 * 80);
    expect(largestDifference(residual, unpack(vectors.changed.residual))).toBeLessThan(1e-4);
    const at = (maps: Maps, x: number, y: number) => maps.data[80 * y + x]!;
    for (const [x, y, before, after] of [
      [27, 30, 0, 1],
      [70, 10, 1, 0],
    ] as const) {
      expect(at(coarse.alpha, x, y)).toBe(before);
      expect(Math.abs(at(changed.alpha, x, y) - after)).toBeLessThan(0.1);
      expect(at(changed.error, x, y)).toBe(-1);
    }
    expect(coarse.hidden).toBe(changed.hidden);
  });

  it("changes nothing where it agrees", () => {
    const hint = makePicture(frame.width, frame.height);
    for (let y = 5; y < 20; y++) hint.data.set([0, 0, 0, 255], 4 * (y * frame.width + 5));
    expect(applyHint(coarse, { ...readStrokes(hint, frame), weight: 1 }, source, frame)).toBe(coarse);
  });
});

it("refuses a hint of another shape, and one without a stroke", () => {
  expect(() => readStrokes(makePicture(100, 100), frame)).toThrow(/100 x 100 and the picture 158 x 118: another shape/);
  expect(() => readStrokes(makePicture(158, 118), frame)).toThrow(/neither white nor black/);
});

/** The vectors' hint, grey as transparent black. */
function strokes() {
  const hint = unpackPicture({ ...vectors.hint, shape: [...vectors.hint.shape, 1] });
  for (let i = 0; i < hint.data.length; i += 4) {
    const grey = hint.data[i]!;
    hint.data.set(grey === 128 ? [0, 0, 0, 0] : [grey, grey, grey, 255], i);
  }
  return hint;
}

function fromBytes(packed: Parameters<typeof unpack>[0]): Maps {
  return { ...makeMaps(1, 60, 80), data: Float32Array.from(unpack(packed), (value) => Math.fround(value / 255)) };
}

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FINER, layOut, type Quality } from "../../engine/layout.js";
import type { ModelRecord } from "../../engine/model.js";
import { makePicture } from "../../engine/picture.js";
import { shrink } from "../../engine/resize.js";
import { planTiles, selectCells } from "../../engine/router/cells.js";
import { refine } from "../../engine/router/refine.js";
import { findChange, layInto } from "../../engine/router/region.js";
import { type Coarse, cutWindows, type Windows } from "../../engine/router/windows.js";
import { largestDifference, unpack, unpackMaps, unpackPicture, vectors } from "./vectors.js";

const manifest = new URL("../../../src/cleanplate/models/embedded/manifest.json", import.meta.url);
const record: ModelRecord = JSON.parse(readFileSync(manifest, "utf8")).models.lite.config;

const source = unpackPicture(vectors.refine.source);
const plate = unpackPicture(vectors.refine.plate);
const coarse: Coarse = {
  alpha: unpackMaps(vectors.refine.coarse.alpha),
  residual: unpackMaps(vectors.refine.coarse.residual),
  error: unpackMaps(vectors.refine.coarse.error),
  hidden: unpackMaps(vectors.refine.coarse.hidden),
};

describe("the router gives the numbers of the Python package", () => {
  it("lays out pictures of any size", () => {
    for (const [height, width, quality, ...expected] of vectors.layouts) {
      const { padded, coarse } = layOut(record, { height, width }, FINER[quality as Quality]);
      expect([padded.height, padded.width, coarse.height, coarse.width], `${height} x ${width}`).toEqual(expected);
    }
  });

  it("shrinks by area", () => {
    for (const { picture, small } of vectors.shrinks) {
      const [, height, width] = small.shape;
      const maps = shrink(unpackPicture(picture), { height, width }, 3);
      expect(largestDifference(maps.data, unpack(small))).toBeLessThan(1e-6);
    }
  });

  it("finds the region that changed", () => {
    for (const change of vectors.changes) {
      const pair = [change.source, change.plate].map(unpackPicture);
      const region = findChange(shrink(pair[0]!, pair[0]!, 3), shrink(pair[1]!, pair[1]!, 4));
      expect(region ? [region.top, region.left, region.height, region.width] : null).toEqual(change.region);
    }
  });

  it("selects cells and covers them with tiles", () => {
    const selected = selectCells(coarse.error, source, vectors.refine.threshold);
    expect(selected.data).toEqual(unpack(vectors.refine.selected));
    const tiles = planTiles(selected);
    expect(tiles.side).toBe(vectors.refine.tiles.side);
    expect(tiles.top).toEqual(unpack(vectors.refine.tiles.top));
    expect(tiles.left).toEqual(unpack(vectors.refine.tiles.left));
  });

  it("keeps the worst cells where they are more than the limit", () => {
    const { data } = selectCells(coarse.error, source, vectors.refine.threshold, 20);
    const all = selectCells(coarse.error, source, vectors.refine.threshold).data;
    const chosen = data.reduce((sum, one) => sum + one, 0);
    expect(chosen).toBeGreaterThan(10);
    expect(chosen).toBeLessThanOrEqual(20);
    expect(data.every((one, i) => one <= all[i]!)).toBe(true);
    expect(selectCells(coarse.error, source, 0, 0).data.includes(1)).toBe(false);
  });

  it("covers nothing with no tiles", () => {
    expect(planTiles({ rows: 5, columns: 7, data: new Uint8Array(35) }).top).toHaveLength(0);
  });

  it("cuts windows, zero outside of the picture", () => {
    const { side, top, left } = vectors.refine.chosen;
    const tiles = { side, top: unpack(top) as Int32Array, left: unpack(left) as Int32Array };
    const { half, full, halfSide } = cutWindows(source, plate, coarse, tiles, 0, 3);
    expect(largestDifference(full, unpack(vectors.refine.full))).toBeLessThan(1e-6);
    const [count, channels] = vectors.refine.half_sums.shape;
    const area = halfSide ** 2;
    const sums = Array.from({ length: count * channels }, (_, i) =>
      half.subarray(i * area, (i + 1) * area).reduce((sum, value) => sum + value, 0),
    );
    expect(largestDifference(sums, unpack(vectors.refine.half_sums))).toBeLessThan(1e-3);
    const first = [0, 1, 2].flatMap((n) => [...half.subarray(n * channels * area, (n * channels + 4) * area)]);
    expect(largestDifference(first, unpack(vectors.refine.half))).toBeLessThan(1e-5);
  });

  it("refines the selected cells and pastes them", async () => {
    const area = source.width * source.height;
    const matte = { alpha: new Float32Array(area), cutout: makePicture(source.width, source.height) };
    await refine(source, plate, coarse, { threshold: vectors.refine.threshold }, fakeNetwork, matte);
    expect(largestDifference(matte.alpha, unpack(vectors.refine.alpha))).toBeLessThan(1e-5);
    const expected = unpackPicture(vectors.refine.foreground).data;
    const colours = matte.cutout.data.map((value, i) => (i % 4 === 3 ? 255 : value));
    expect(largestDifference(colours, expected)).toBeLessThanOrEqual(1); // rounding of a half
    const opaque = matte.cutout.data.filter((_, i) => i % 4 === 3);
    expect(
      largestDifference(
        opaque,
        matte.alpha.map((value) => value * 255),
      ),
    ).toBeLessThanOrEqual(0.5001);
  });
});

it("may leave out the colour where alpha is 0", async () => {
  const make = () => ({
    alpha: new Float32Array(source.width * source.height),
    cutout: makePicture(source.width, source.height),
  });
  const part = { ...coarse, alpha: { ...coarse.alpha, data: coarse.alpha.data.slice() } };
  const { width, data } = part.alpha;
  for (let i = 0; i < data.length; i++) if (i % width < 0.4 * width || i < data.length / 3) data[i] = 0;
  const [whole, bare] = [make(), make()];
  const choice = { threshold: vectors.refine.threshold, most: 12 };
  await refine(source, plate, part, choice, fakeNetwork, whole);
  await refine(source, plate, part, { ...choice, bare: true }, fakeNetwork, bare);
  let same = 0;
  for (let i = 0; i < whole.cutout.data.length; i += 4) {
    const [expected, found] = [whole, bare].map(({ cutout }) => [...cutout.data.subarray(i, i + 4)]);
    expect(found![3]).toBe(expected![3]);
    if (expected![3]) expect(found).toEqual(expected);
    else same += found!.every((value) => value === 0) ? 1 : 0;
  }
  expect(same).toBeGreaterThan(0.3 * source.width * source.height);
});

it("lays the maps of a region into larger ones", () => {
  const maps = { channels: 2, height: 1, width: 2, data: Float32Array.of(1, 2, 3, 4) };
  const whole = layInto(maps, { top: 1, left: 1, height: 1, width: 2 }, { height: 2, width: 3 });
  expect([...whole.data]).toEqual([0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 3, 4]);
});

/** The same stand-in for the refiner as in `make.py`. */
async function fakeNetwork({ half, full, halfSide, fullSide }: Windows, count: number): Promise<Float32Array> {
  const side = fullSide - 4;
  const channels = half.length / count / halfSide ** 2;
  const refined = new Float32Array(count * 4 * side * side);
  const h = (n: number, c: number, y: number, x: number) => half[((n * channels + c) * halfSide + y) * halfSide + x]!;
  const f = (n: number, c: number, y: number, x: number) => full[((n * 6 + c) * fullSide + y) * fullSide + x]!;
  for (let n = 0; n < count; n++) {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const at = (c: number) => ((n * 4 + c) * side + y) * side + x;
        const near = (c: number) => h(n, c, (y >> 1) + 3, (x >> 1) + 3);
        refined[at(0)] = 0.5 * near(0) + 0.7 * f(n, 0, y + 4, x + 4) - 0.2 * h(n, 3, y >> 1, x >> 1);
        for (let c = 0; c < 3; c++) {
          refined[at(c + 1)] = f(n, 3 + c, y, x) - f(n, c, y + 2, x + 2) + 0.1 * near(c + 1);
        }
      }
    }
  }
  return refined;
}

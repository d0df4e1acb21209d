import { describe, expect, it } from "vitest";
import { makePicture } from "../../engine/picture.js";
import { compose } from "../../engine/video/compose.js";
import { LEVELS, Pace } from "../../engine/video/pace.js";

const PERIOD = 1 / 24;

/** Notes frames of one duration, each followed by the next; returns the time. */
function play(pace: Pace, busy: number, seconds: number, from = 0): number {
  let now = from;
  for (; now < from + seconds; now += Math.max(PERIOD, busy)) pace.note(busy, now);
  return now;
}

describe("the pace", () => {
  it("steps down while frames are missed, as far as there are levels", () => {
    const pace = new Pace(PERIOD);
    let now = play(pace, 1.5 * PERIOD, 1.2);
    expect(pace.level).toBe(0); // the first second does not count
    now = play(pace, 1.5 * PERIOD, 1, now);
    expect(pace.level).toBe(1);
    play(pace, 1.5 * PERIOD, 30, now);
    expect(pace.level).toBe(LEVELS.length - 1);
  });

  it("steps up after a wait, which each step down doubles", () => {
    const pace = new Pace(PERIOD);
    let now = play(pace, 1.5 * PERIOD, 1.65);
    expect(pace.level).toBe(1);
    now = play(pace, 0.3 * PERIOD, 7, now);
    expect(pace.level).toBe(1);
    now = play(pace, 0.3 * PERIOD, 2.5, now);
    expect(pace.level).toBe(0);
    now = play(pace, 1.5 * PERIOD, 1.2, now);
    expect(pace.level).toBe(1);
    now = play(pace, 0.3 * PERIOD, 15, now);
    expect(pace.level).toBe(1);
    play(pace, 0.3 * PERIOD, 3, now);
    expect(pace.level).toBe(0);
  });

  it("stays where there is time enough, but not to spare", () => {
    const pace = new Pace(PERIOD);
    play(pace, 0.8 * PERIOD, 60);
    expect(pace.level).toBe(0);
  });
});

it("lays a cut-out over a backdrop, within its area", () => {
  const cutout = makePicture(64, 8);
  cutout.data.forEach((_, i) => {
    cutout.data[i] = (i * 7919) >> 3;
  });
  const area = { top: 2, left: 3, height: 5, width: 60 };
  const below = [200, 13, 255];
  const backdrop = new Uint32Array(64 * 8).fill(0xff000000 | (below[2]! << 16) | (below[1]! << 8) | below[0]!);
  const result = new Uint32Array(64 * 8);
  compose(cutout, area, backdrop, result);
  const bytes = new Uint8Array(result.buffer);
  for (let i = 0; i < result.length; i++) {
    const [x, y] = [i % 64, Math.floor(i / 64)];
    const inside = x >= 3 && x < 63 && y >= 2 && y < 7;
    const alpha = inside ? cutout.data[4 * i + 3]! / 255 : 0;
    const expected = below.map((value, c) => Math.round(alpha * cutout.data[4 * i + c]! + (1 - alpha) * value));
    expect([...bytes.subarray(4 * i, 4 * i + 4)]).toEqual([...expected, 255]);
  }
});

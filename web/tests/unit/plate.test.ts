/** The plate's fit on pictures with known motion and light. */
import { describe, expect, it } from "vitest";
import { makePicture, type Picture } from "../../engine/picture.js";
import { fitPlate, takePlate } from "../../engine/plate/fit.js";
import { estimateMotion, type Motion, makeRandom, move } from "../../engine/plate/motion.js";
import { warp } from "../../engine/plate/warp.js";

const [WIDTH, HEIGHT] = [480, 360];

describe("motion", () => {
  const motion: Motion = [1.02, 0.03, 5, -0.02, 0.99, -7, 1e-5, -2e-5, 1];

  it("is found among twice as many wrong pairs", () => {
    const random = makeRandom(5);
    const pairs = Array.from({ length: 150 }, (_, i) => {
      const [x, y] = [random() * WIDTH, random() * HEIGHT];
      const [u, v] = i % 3 ? [random() * WIDTH, random() * HEIGHT] : move(motion, x, y);
      return { x, y, u, v };
    });
    const found = estimateMotion(pairs, 1.5)!;
    expect(distance(found.motion, motion)).toBeLessThan(0.1);
    expect(found.inliers.length).toBeGreaterThanOrEqual(45);
  });

  it("is not found where there is none", () => {
    const random = makeRandom(6);
    const pairs = Array.from({ length: 5 }, () => ({ x: random(), y: random(), u: random(), v: random() }));
    expect(estimateMotion(pairs, 1.5)).toBeUndefined();
  });
});

describe("fit", () => {
  it("undoes a hand's motion and another light, whatever stands before it", () => {
    const plate = drawScene(1);
    const motion: Motion = [1.01, -0.015, 9.3, 0.016, 1.008, -6.4, 0, 0, 1];
    const frame = warp(plate, motion, plate);
    for (let i = 0; i < frame.data.length; i += 4) {
      const [x, y] = [(i / 4) % WIDTH, Math.floor(i / 4 / WIDTH)];
      const subject = x > 180 && x < 330 && y > 90;
      for (let c = 0; c < 3; c++) frame.data[i + c] = subject ? 40 + 90 * c : frame.data[i + c]! * [0.8, 0.85, 0.9][c]!;
    }
    const { picture, fit } = fitPlate(plate, frame);
    expect(fit.moved).toBe(true);
    expect(fit.gain[0]).toBeCloseTo(0.8, 1);
    expect(fit.gain[2]).toBeCloseTo(0.9, 1);
    let [sum, count] = [0, 0];
    for (let y = 20; y < HEIGHT - 20; y++) {
      for (let x = 20; x < 160; x++) {
        const at = 4 * (y * WIDTH + x);
        if (!picture.data[at + 3]) continue;
        sum += Math.abs(picture.data[at + 1]! - frame.data[at + 1]!);
        count++;
      }
    }
    expect(sum / count).toBeLessThan(3);
    expect(picture.data.filter((value, i) => i % 4 === 3 && value === 0).length).toBeGreaterThan(100); // not shown
  });

  it("leaves a plate that lies right where it is", () => {
    const plate = drawScene(2);
    const { picture, fit } = fitPlate(plate, plate);
    expect(fit).toEqual({ moved: false, shiftPixels: 0, gain: [1, 1, 1], notes: [] });
    expect(Buffer.from(picture.data.buffer).equals(Buffer.from(plate.data.buffer))).toBe(true);
  });

  it("refuses a plate of another place, and of another shape", () => {
    expect(() => fitPlate(drawScene(3), drawScene(4))).toThrow("do not fit");
    expect(() => fitPlate(makePicture(HEIGHT, WIDTH), drawScene(4))).toThrow("another shape");
  });

  it("brings a plate of another size to the frame's", () => {
    const frame = drawScene(7);
    const large = warp(frame, [2, 0, 0.5, 0, 2, 0.5, 0, 0, 1], { width: 2 * WIDTH, height: 2 * HEIGHT });
    expect(takePlate(large, frame).picture.width).toBe(WIDTH);
    expect(takePlate(frame, large).picture.height).toBe(2 * HEIGHT);
    expect(fitPlate(large, frame).fit.shiftPixels).toBeLessThan(0.5);
  });

  it("takes what is not opaque for unknown where it is not to be fitted", () => {
    const plate = drawScene(8);
    plate.data[3] = 0;
    expect([...takePlate(plate, plate).picture.data.subarray(0, 8)]).toEqual([
      0,
      0,
      0,
      0,
      ...plate.data.subarray(4, 8),
    ]);
  });
});

/** Boxes of many greys and colours, with some noise. */
function drawScene(seed: number): Picture {
  const random = makeRandom(seed);
  const picture = makePicture(WIDTH, HEIGHT);
  picture.data.fill(255);
  for (let box = 0; box < 160; box++) {
    const [left, top] = [Math.floor(random() * WIDTH), Math.floor(random() * HEIGHT)];
    const [right, bottom] = [left + 10 + random() * 70, top + 10 + random() * 70];
    const colour = [40 + random() * 180, 40 + random() * 180, 40 + random() * 180];
    for (let y = top; y < Math.min(bottom, HEIGHT); y++) {
      for (let x = left; x < Math.min(right, WIDTH); x++) {
        for (let c = 0; c < 3; c++)
          picture.data[4 * (y * WIDTH + x) + c] = colour[c]! + 8 * Math.sin(x * 0.9 + y + box * seed);
      }
    }
  }
  return picture;
}

function distance(one: Motion, other: Motion): number {
  const corners = [
    [0, 0],
    [WIDTH, 0],
    [0, HEIGHT],
    [WIDTH, HEIGHT],
  ] as const;
  return Math.max(
    ...corners.map(([x, y]) => {
      const [a, b] = [move(one, x, y), move(other, x, y)];
      return Math.hypot(a[0] - b[0], a[1] - b[1]);
    }),
  );
}

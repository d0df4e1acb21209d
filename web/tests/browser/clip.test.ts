/** The clip panel: its files are read by the Python package's decoder. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keepScreenshot, runPython, type Visit, visit, WEB } from "./harness.js";

const FRAMES = 16;

/** Frames of the clip with a hole, which moves by more than its radius. */
const HOLED = 8;

const folder = mkdtempSync(join(tmpdir(), "cleanplate-clip-"));
const [clip, plate] = [join(folder, "clip.mp4"), join(folder, "plate.jpg")];
let visitor: Visit;

beforeAll(async () => {
  runPython("make_clip.py", String(FRAMES), folder);
  visitor = await visit({ path: "#clip", viewport: { width: 1280, height: 800 } });
});

afterAll(async () => {
  await visitor?.close();
  rmSync(folder, { recursive: true });
});

const message = (page: Page) => page.locator("#clip-message");

describe("clip", () => {
  it("becomes a WebM with alpha and sound, which the package reads", async () => {
    const { page } = visitor;
    await page.setInputFiles("#clip-file", clip);
    expect(await page.isVisible("#clip-first")).toBe(true);
    await page.setInputFiles("#clip-plate-file", plate);
    await page.waitForFunction(() => (document.getElementById("clip-bar") as HTMLProgressElement).value > 0.3);
    await keepScreenshot(page, "clip-working");
    const file = await finish(page);
    await keepScreenshot(page, "clip-done");
    const about = JSON.parse(runPython("look_at_clip.py", file));
    expect(about).toMatchObject({ alpha_mode: "1", size: [640, 360], frames: FRAMES, audio: ["opus"] });
    expect(about.start).toBeLessThan(0.05);
    expect(about.end).toBeCloseTo((FRAMES - 1) / 25, 1);
    expect(about.opaque).toBeGreaterThan(0.05);
    expect(about.opaque).toBeLessThan(0.6);
    expect(about.clear).toBeGreaterThan(0.3);
    expect(visitor.errors).toEqual([]);
  });

  it("can be cancelled, and begun again", async () => {
    const { page } = visitor;
    await page.setInputFiles("#clip-plate-file", plate);
    // In the page, because the clip could end before a click from here.
    await page.waitForFunction(() => {
      const begun = (document.getElementById("clip-bar") as HTMLProgressElement).value > 0;
      if (begun) document.getElementById("clip-cancel")!.click();
      return begun;
    });
    await page.getByText("Cancelled.").waitFor();
    expect(await page.isHidden("#clip-result")).toBe(true);
    expect(await message(page).textContent()).toBe("");
  });

  it("says what is wrong with a file that is no clip", async () => {
    const { page } = visitor;
    const text = join(folder, "letter.mp4");
    writeFileSync(text, "no clip");
    await page.setInputFiles("#clip-file", text);
    await message(page).getByText("'letter.mp4' is not a video that can be read here.").waitFor();
  });

  it("carries strokes on its first frame through the clip", async () => {
    const { page } = visitor;
    const [x, y, radius, step] = JSON.parse(runPython("make_holed_clip.py", String(HOLED), folder));
    await page.setInputFiles("#clip-file", join(folder, "holed.mp4"));
    await page.setInputFiles("#clip-plate-file", join(folder, "holed_plate.png"));
    const before = await finish(page, "before");
    await page.click("#clip-correct");
    const canvas = page.locator("#frame-canvas");
    await canvas.waitFor();
    expect(await canvas.getAttribute("aria-label")).toBe("The cut-out beside the first frame");
    await page.click("#frame-paint-add");
    await canvas.scrollIntoViewIfNeeded();
    const box = (await canvas.boundingBox())!;
    const scale = Math.min(box.width / 480, box.height / 270);
    const on = (dx: number, dy: number) =>
      [box.x + box.width / 2 + (x + dx - 240) * scale, box.y + box.height / 2 + (y + dy - 135) * scale] as const;
    await page.mouse.move(...on(0, -0.6 * radius));
    await page.mouse.down();
    await page.mouse.move(...on(0, 0.6 * radius), { steps: 4 });
    await page.mouse.up();
    await page.getByText("Done, with 1 stroke.").waitFor();
    await keepScreenshot(page, "clip-correct");
    await page.click("#clip-make");
    const after = await finish(page, "after");
    expect(await page.textContent("#clip-facts")).toContain("With 1 stroke on the first frame.");
    const disc = [x - (HOLED - 1) * step, y, radius].map(String);
    const picture = resolve(WEB, "test-results/clip-carried.png");
    const { hole, far } = JSON.parse(runPython("compare_clips.py", before, after, ...disc, picture));
    expect(hole[0]).toBeLessThan(0.2); // the network sees the plate there
    expect(hole[1]).toBeGreaterThan(0.9);
    expect(far).toBeLessThan(0.002); // half a step of 8 bits: VP9 loses a little
    expect(visitor.errors).toEqual([]);
  });
});

it("becomes numbered PNGs in a browser that encodes no video", async () => {
  const other = await visit({ path: "engine/engine.json" });
  await other.page.addInitScript("delete window.VideoEncoder; delete window.VideoDecoder");
  await other.page.goto(`${other.url.replace("engine/engine.json", "")}#clip`);
  await other.page.setInputFiles("#clip-file", clip);
  await other.page.click("#clip-first");
  const file = await finish(other.page);
  expect(file.endsWith(".zip")).toBe(true);
  const zip = readFileSync(file);
  expect(zip.subarray(0, 2).toString()).toBe("PK");
  const listed = runPython("list_zip.py", file);
  expect(JSON.parse(listed)).toEqual({ names: FRAMES, first: "frame_00000.png", size: [640, 360], mode: "RGBA" });
  await other.close();
});

/** Waits for the result and gives the path of the saved file. */
async function finish(page: Page, name = ""): Promise<string> {
  await page.waitForSelector("#clip-done:not([hidden])");
  const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#clip-download")]);
  const path = join(folder, name + saved.suggestedFilename());
  await saved.saveAs(path);
  return path;
}

/** The browser source for OBS: transparent where the subject is not, as OBS's own Chromium shows it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fakeCamera, PATIENCE, sample, type Visit, visit, WEB } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "cleanplate-obs-"));
let visitor: Visit;

beforeAll(async () => {
  // The subject is there from the first frame on, so that the plate comes from the file.
  const args = fakeCamera(folder, 0);
  visitor = await visit({
    args,
    permissions: ["camera"],
    path: "engine/engine.json",
    viewport: { width: 640, height: 360 },
  });
  await visitor.page.route("**/plate.jpg", (route) => route.fulfill({ path: sample("clip_plate.jpg") }));
});

afterAll(async () => {
  await visitor?.close();
  rmSync(folder, { recursive: true });
});

/** Shares of clear and opaque pixels of a screenshot without the browser's white. */
async function shares(): Promise<{ clear: number; opaque: number }> {
  const picture = await visitor.page.screenshot({ omitBackground: true, path: join(WEB, "test-results/obs.png") });
  return visitor.page.evaluate(async (data) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
    context.drawImage(bitmap, 0, 0);
    const alpha = context.getImageData(0, 0, bitmap.width, bitmap.height).data.filter((_, i) => i % 4 === 3);
    const share = (value: number) => alpha.filter((each) => each === value).length / alpha.length;
    return { clear: share(0), opaque: share(255) };
  }, picture.toString("base64"));
}

it("shows the subject over nothing", async () => {
  const { page, url } = visitor;
  await page.goto(new URL("/obs.html?plate=plate.jpg&size=640x360", url).href);
  await expect.poll(async () => (await shares()).opaque, { timeout: PATIENCE, interval: 500 }).toBeGreaterThan(0.08);
  expect((await shares()).clear).toBeGreaterThan(0.6);
  expect(await page.locator("p").textContent()).toBe("");
});

it("names the cameras if none has the wanted name", async () => {
  const { page, url } = visitor;
  await page.goto(new URL("/obs.html?plate=plate.jpg&camera=brio", url).href);
  await page.getByText("No camera is called 'brio'. There are: ").waitFor();
});

it("takes the plate after a countdown, keeps it, and takes another one with P", async () => {
  const { page, url } = visitor;
  await page.goto(new URL("/obs.html?delay=4&size=640x360", url).href);
  await page.getByText("Leave the picture").waitFor();
  const status = page.locator("p");
  await expect.poll(() => status.textContent(), { timeout: PATIENCE }).toBe("");
  await page.goto(new URL("/obs.html?delay=30&size=640x360", url).href);
  await expect.poll(() => status.textContent(), { timeout: PATIENCE }).toBe("");
  await page.keyboard.press("p");
  await page.getByText("Leave the picture").waitFor();
});

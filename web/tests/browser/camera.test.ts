/** The camera panel with a camera that plays the sample clip. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, describe, expect, it } from "vitest";
import { fakeCamera, keepScreenshot, type Visit, visit } from "./harness.js";

const PLATE_SECONDS = 14;

const folder = mkdtempSync(join(tmpdir(), "cleanplate-camera-"));
const args = fakeCamera(folder, PLATE_SECONDS);

afterAll(() => rmSync(folder, { recursive: true }));

const message = (page: Page) => page.locator("#camera-message");

async function openCamera(visitor: Visit): Promise<void> {
  await visitor.page.waitForSelector("html[data-engine]");
  await visitor.page.click("#tab-camera");
  await visitor.page.click("#camera-start");
}

describe("camera", () => {
  it("takes the plate, shows the subject live, records", async () => {
    const visitor = await visit({
      args,
      permissions: ["camera"],
      viewport: { width: 1280, height: 800 },
      path: "?countdown=2",
    });
    const { page } = visitor;
    await page.addScriptTag({ content: `window.subject = ${measureSubject}` });
    await openCamera(visitor);
    await page.waitForSelector("#camera-stage[data-state=ready]");
    await page.click("#camera-plate");
    await page.waitForSelector("#camera-count:not([hidden])");
    await keepScreenshot(page, "camera-countdown");
    await page.waitForSelector("#camera-stage[data-state=live]");
    await page.check('#camera-backdrops input[value="Green"]');
    // The empty set, all green, comes first; then the subject enters the picture.
    await page.waitForFunction(() => subject() < 0.01);
    expect(await page.textContent("#status")).toBe("The plate is ready. Step back in.");
    await page.waitForFunction(() => subject() > 0.1);
    await page.waitForFunction(() => document.getElementById("status")?.textContent === "");
    const labels = await page.locator("#camera-backdrops .labelled").allTextContents();
    expect(labels).toEqual(["Blur", "Colour", "Picture"]);
    await page.click("#camera-record");
    await keepScreenshot(page, "camera-live");
    expect(await page.evaluate(() => subject())).toBeLessThan(0.6);
    await page.waitForTimeout(4000); // a busy machine starts the recording late
    await page.click("#camera-record");
    await page.waitForSelector("#camera-taken:not([hidden])");
    const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#camera-download")]);
    expect(saved.suggestedFilename()).toBe("cleanplate.webm");
    expect(
      readFileSync(await saved.path())
        .subarray(0, 4)
        .toString("hex"),
    ).toBe("1a45dfa3");
    const seconds = await page.evaluate(async () => {
      const video = document.getElementById("camera-take") as HTMLVideoElement;
      video.currentTime = 1e6; // a recording has no duration until its end was seen
      await new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
      return [video.videoWidth, video.videoHeight, video.currentTime];
    });
    expect(seconds.slice(0, 2)).toEqual([640, 360]);
    expect(seconds[2]).toBeGreaterThan(1);
    expect(Number(await page.getAttribute("#camera-rate", "data-rate"))).toBeGreaterThan(0);
    await page.click("#camera-plate");
    await page.waitForSelector("#camera-stage[data-state=counting]");
    await page.click("#camera-stop");
    await page.waitForSelector("#camera-start:not([disabled])");
    expect(await message(page).textContent()).toBe("");
    expect(visitor.errors).toEqual([]);
    await visitor.close();
  });

  it("says that the camera was not allowed", async () => {
    const visitor = await visit({ args: [...args, "--deny-permission-prompts"] });
    await openCamera(visitor);
    await message(visitor.page).getByText("The camera was not allowed.").waitFor();
    await keepScreenshot(visitor.page, "camera-denied");
    await visitor.close();
  });

  it("says that there is no camera, and that another program has it", async () => {
    const visitor = await visit({ permissions: ["camera"] });
    await openCamera(visitor);
    await message(visitor.page).getByText("No camera was found.").waitFor();
    await visitor.page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("busy", "NotReadableError"));
    });
    await visitor.page.click("#camera-start");
    await message(visitor.page).getByText("The camera is in use by another program.").waitFor();
    await visitor.close();
  });
});

declare const subject: typeof measureSubject;

/** Share of the live picture without the green background; runs in the page. */
function measureSubject(): number {
  const canvas = document.getElementById("camera-canvas") as HTMLCanvasElement;
  const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (Math.abs(data[i]! - 0) + Math.abs(data[i + 1]! - 177) + Math.abs(data[i + 2]! - 64) > 60) count++;
  }
  return (4 * count) / data.length;
}

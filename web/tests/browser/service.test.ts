/** The page served by `cleanplate serve --page`: its switch sends a clip, and nothing is sent while it is off. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DIST, findChromium, keepScreenshot, openPage, PATIENCE, REPOSITORY, runPython, visit } from "./harness.js";

const FRAMES = 12;
const TOKEN = "a-token-of-the-tests-1234";
const folder = mkdtempSync(join(tmpdir(), "cleanplate-service-"));
const [clip, plate] = [join(folder, "clip.mp4"), join(folder, "plate.jpg")];
let [service, browser]: [ChildProcess | undefined, Browser | undefined] = [undefined, undefined];
let url = "";

beforeAll(async () => {
  runPython("make_clip.py", String(FRAMES), folder);
  const options = ["--port", "0", "--workers", "1", "--page", DIST, "--folder", join(folder, "service")];
  service = spawn(process.env.PYTHON ?? "python3", ["-m", "cleanplate", "serve", ...options], {
    env: { ...process.env, PYTHONPATH: resolve(REPOSITORY, "src"), CLEANPLATE_TOKEN: TOKEN },
    stdio: ["ignore", "pipe", "inherit"],
  });
  url = await new Promise((found) => createInterface(service!.stdout!).once("line", found));
  browser = await chromium.launch({
    executablePath: findChromium(),
    timeout: PATIENCE,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
});

afterAll(async () => {
  await browser?.close();
  service?.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

const finish = (page: Page) => page.waitForSelector("#clip-done:not([hidden])");

it("keys a clip on the service when asked, and sends nothing before", async () => {
  const page = await openPage(browser!);
  const asked: string[] = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith("/v1/")) asked.push(`${request.method()} ${pathname.split("/")[2]}`);
  });
  await page.goto(`${url}/#clip`);
  expect(await page.isVisible("#clip-service-on")).toBe(true);
  expect(await page.isChecked("#clip-service-on")).toBe(false);
  await page.setInputFiles("#clip-file", clip);
  await page.setInputFiles("#clip-plate-file", plate);
  await finish(page);
  await page.click("#clip-correct");
  await page.click("#frame-paint-add");
  await page.focus("#frame-canvas"); // the brush begins in the middle of the picture
  for (const key of ["Space", "ArrowUp", "Space"]) await page.keyboard.press(key);
  await page.getByText("Done, with 1 stroke.").waitFor();
  expect(asked).toEqual([]);

  await page.check("#clip-service-on");
  expect(await page.textContent("#private")).toBe(`Clips are sent to ${new URL(url).host}.`);
  await page.fill("#clip-service-token", "wrong");
  await page.press("#clip-service-token", "Enter");
  await page.getByText("The token is missing or unknown.").waitFor();
  await page.fill("#clip-service-token", TOKEN);
  await page.press("#clip-service-token", "Enter");
  await finish(page);
  expect(await page.textContent("#clip-facts")).toContain(`${FRAMES} frames`);
  expect(await page.textContent("#clip-facts")).toContain("keyed by the service");
  expect(await page.textContent("#clip-facts")).toContain("With 1 stroke on the first frame.");
  await keepScreenshot(page, "clip-service");
  const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#clip-download")]);
  const file = join(folder, "result.webm");
  await saved.saveAs(file);
  const about = JSON.parse(runPython("look_at_clip.py", file));
  expect(about).toMatchObject({ alpha_mode: "1", size: [640, 360], frames: FRAMES });
  expect(new Set(asked)).toEqual(new Set(["POST videos", "GET jobs", "DELETE jobs"]));
});

it("shows no switch on another host", async () => {
  const visitor = await visit({ path: "#clip" });
  expect(await visitor.page.isHidden("#clip-service")).toBe(true);
  await visitor.close();
});

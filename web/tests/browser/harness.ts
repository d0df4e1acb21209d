/** A server of `dist/` and headless Chromium, for tests and measurements. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { serve } from "../../scripts/serve.mjs";

export const WEB = resolve(import.meta.dirname, "../..");
export const REPOSITORY = resolve(WEB, "..");
export const DIST = resolve(WEB, "dist");

const CHROMIUM = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export function findChromium(): string {
  const found = CHROMIUM.find((path) => path && existsSync(path));
  if (!found) throw new Error("Chromium is needed: apt-get install chromium, or CHROMIUM=/path/to/it");
  return found;
}

/** Time limit of a wait, in milliseconds: no test fails because a machine is busy. */
export const PATIENCE = 600_000;

export interface Visit {
  readonly page: Page;
  /** Errors logged by the page. */
  readonly errors: string[];
  /** Bytes that the server has sent, by path. */
  readonly sent: Map<string, number>;
  readonly url: string;
  /** Is on the command line of this browser, and of no other. */
  readonly profile: string;
  /** Stops the server; the browser stays. */
  goDown(): void;
  close(): Promise<void>;
}

export interface VisitOptions extends BrowserContextOptions {
  readonly args?: string[];
  /** Leaves the isolation headers out, as many hosts do. */
  readonly plain?: boolean;
  readonly under?: string;
  readonly path?: string;
  readonly folder?: string;
  /** Address of a server of the caller's, in place of one for `folder`. */
  readonly url?: string;
}

let visits = 0;

/** Opens the built page in a fresh browser. */
export async function visit({
  args = [],
  plain = false,
  under = "/",
  path = "",
  folder = DIST,
  url: address,
  ...context
}: VisitOptions = {}): Promise<Visit> {
  if (!existsSync(resolve(DIST, "index.html"))) throw new Error("There is no web/dist yet: npm run build");
  const sent = new Map<string, number>();
  const onRequest = (where: string, size: number) => sent.set(where, (sent.get(where) ?? 0) + size);
  const host = await serve({ folder, port: 0, plain, under, onRequest });
  const profile = `cleanplate-${process.pid}-${++visits}`;
  const browser: Browser = await chromium.launch({
    executablePath: findChromium(),
    timeout: PATIENCE,
    args: ["--no-sandbox", "--disable-dev-shm-usage", `--cleanplate-visit=${profile}`, ...args],
  });
  const page = await openPage(browser, context);
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  const url = address ?? `${host.url}${path}`;
  await page.goto(url);
  return {
    page,
    errors,
    sent,
    url,
    profile,
    goDown: () => host.close(),
    async close() {
      await browser.close();
      host.close();
    },
  };
}

/** Opens a page whose waits have {@link PATIENCE}. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  context.setDefaultTimeout(PATIENCE);
  return context.newPage();
}

/** Puts the engine's module, as an embedding page would import it, at `window.cleanplate`. */
export async function loadEngine(page: Page): Promise<void> {
  await loadModules(page, { cleanplate: "/engine/cleanplate.js" });
}

/** Puts modules at names of `window`. */
export async function loadModules(page: Page, addresses: Record<string, string>): Promise<void> {
  for (const [name, address] of Object.entries(addresses)) {
    await page.addScriptTag({ type: "module", content: `import * as m from "${address}"; window.${name} = m;` });
    await page.waitForFunction(`window.${name}`);
  }
}

export const sample = (name: string): string => resolve(REPOSITORY, "samples", name);

/** Saves a screenshot of the page in `test-results/`. */
export async function keepScreenshot(page: Page, name: string, fullPage = false): Promise<void> {
  await page.screenshot({ path: resolve(WEB, `test-results/${name}.png`), fullPage });
}

/** Runs a script of this folder with the Python package at hand. */
export function runPython(script: string, ...parameters: string[]): string {
  return execFileSync(process.env.PYTHON ?? "python3", [resolve(import.meta.dirname, script), ...parameters], {
    env: { ...process.env, PYTHONPATH: resolve(REPOSITORY, "src") },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Chromium's switches for a camera with the empty set for some seconds, then the sample clip, in a loop. */
export function fakeCamera(folder: string, plateSeconds: number, height = 360): string[] {
  const film = resolve(folder, "camera.mjpeg");
  runPython("camera.py", String(plateSeconds), film, String(height));
  return ["--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${film}`];
}

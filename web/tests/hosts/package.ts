/** The packed package, installed in a fresh folder as npm does it, and its app in Chromium. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { keepScreenshot, sample, visit, WEB } from "../browser/harness.js";

const ENGINE = join(WEB, "engine");

export interface App {
  readonly folder: string;
  /** Runs a command in the folder. */
  run(command: string, ...parameters: string[]): string;
  write(files: Record<string, string>): void;
  remove(): void;
}

/** Makes an app with the packed package and `packages` of the registry. */
export function makeApp(publicFolder: string, packages: readonly string[] = []): App {
  const folder = mkdtempSync(join(tmpdir(), "cleanplate-host-"));
  const run = (command: string, ...parameters: string[]) =>
    execFileSync(command, parameters, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const write = (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  };
  write({ "package.json": JSON.stringify({ name: "app", private: true, type: "module" }) });
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: ENGINE });
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  run("npm", "install", "--no-audit", "--no-fund", "--silent", `./${tarball}`, ...packages);
  const pictures = join(folder, publicFolder);
  mkdirSync(pictures, { recursive: true });
  for (const name of ["photo.jpg", "plate.jpg"]) cpSync(sample(name), join(pictures, name));
  cpSync(join(import.meta.dirname, "app/main.ts"), join(folder, "main.ts"));
  return { folder, run, write, remove: () => rmSync(folder, { recursive: true }) };
}

/** Opens a built app, and checks its results. */
export async function checkApp(name: string, folder: string, options: { url?: string } = {}) {
  const visitor = await visit({ folder, ...options });
  const { page } = visitor;
  await page.waitForSelector("html[data-late], html[data-error]", { state: "attached" });
  const { clear, milliseconds, ...rest } = await page.evaluate(() => ({ ...document.documentElement.dataset }));
  await keepScreenshot(page, `host-${name}`);
  console.log(`${name}: ${milliseconds} ms for the photo; ${rest.threads} threads`);
  expect(rest).toMatchObject({ kinds: "video function cleanplate", late: "closed" });
  expect(Number(clear)).toBeGreaterThan(0.5);
  expect(Number(clear)).toBeLessThan(0.95);
  expect(Number(rest.threads)).toBeGreaterThan(1);
  const failures = visitor.errors.filter((error) => !/favicon/.test(error));
  await visitor.close();
  return { failures, sent: visitor.sent };
}

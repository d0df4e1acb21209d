/** The example of docs/web.md, unchanged. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DIST, REPOSITORY, sample, type Visit, visit } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "cleanplate-embed-"));
let visitor: Visit;

beforeAll(async () => {
  const [, example] = /```html\n([\s\S]*?)```/.exec(readFileSync(join(REPOSITORY, "docs/web.md"), "utf8"))!;
  writeFileSync(join(folder, "index.html"), `<!doctype html><link rel="icon" href="data:," />${example}`);
  cpSync(join(DIST, "engine"), join(folder, "engine"), { recursive: true });
  for (const name of ["photo.jpg", "plate.jpg"]) cpSync(sample(name), join(folder, name));
  visitor = await visit({ folder });
});

afterAll(async () => {
  await visitor?.close();
  rmSync(folder, { recursive: true });
});

it("works as the documentation has it", async () => {
  const said = await visitor.page.waitForEvent("console");
  expect(said.text()).toMatch(/^moved by 2\.\d pixels/);
  const clear = await visitor.page.evaluate(() => {
    const canvas = document.querySelector("canvas")!;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, i) => i % 4 === 3 && value === 0).length / (data.length / 4);
  });
  expect(clear).toBeGreaterThan(0.5);
  expect(clear).toBeLessThan(0.95);
  expect(visitor.errors).toEqual([]);
});

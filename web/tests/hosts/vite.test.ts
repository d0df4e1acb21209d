/** The package, packed and installed, in an app that Vite builds. */
import { join } from "node:path";
import { build } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WEB } from "../browser/harness.js";
import { type App, checkApp, makeApp } from "./package.js";

const PAGE = '<!doctype html><link rel="icon" href="data:," /><script type="module" src="/main.ts"></script>';

let app: App;

beforeAll(() => {
  app = makeApp("public");
  app.write({
    "index.html": PAGE,
    "tsconfig.json": JSON.stringify({
      compilerOptions: {
        strict: true,
        noEmit: true,
        target: "ES2022",
        module: "ESNext",
        moduleResolution: "bundler",
        skipLibCheck: false,
        types: [],
        typeRoots: [],
        lib: ["ES2022", "DOM", "DOM.Iterable"],
        paths: { "livekit-client": [join(WEB, "node_modules/livekit-client")] },
      },
      files: ["main.ts"],
    }),
  });
});

afterAll(() => app?.remove());

it("has types that a strict program compiles with", () => {
  const tsc = join(WEB, "node_modules/.bin/tsc");
  let said = "";
  try {
    app.run(tsc, "-p", "tsconfig.json");
  } catch (error) {
    said = (error as { stdout: string }).stdout;
  }
  expect(said).toBe("");
});

it("is built by Vite with all its files, and keys in Chromium, with threads and without", async () => {
  await build({ configFile: false, root: app.folder, logLevel: "warn" });
  const { failures, sent } = await checkApp("vite", join(app.folder, "dist"));
  expect(failures).toEqual([]);
  const names = [...sent.keys()].filter((path) => /assets/.test(path)).map((path) => path.replace(/-[\w-]{8}\./, "."));
  expect(names).toContain("/assets/ort.wasm.wasm.gz");
  expect(names).not.toContain("/assets/ort.webgpu.wasm.gz");
  await checkApp("vite-plain", join(app.folder, "dist"), { plain: true });
});

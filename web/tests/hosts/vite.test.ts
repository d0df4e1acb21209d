/** The package, packed and installed, in an app that Vite builds. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WEB } from "../browser/harness.js";
import { type App, checkApp, makeApp } from "./package.js";

const PAGE = '<!doctype html><link rel="icon" href="data:," /><script type="module" src="/main.ts"></script>';

let app: App;

beforeAll(() => {
  app = makeApp("public");
  app.write({ "index.html": PAGE });
});

afterAll(() => app?.remove());

/** The compiler's messages about a file in a strict program. */
function compile(files: readonly string[], skipLibCheck: boolean): string {
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: "ES2022",
    module: "ESNext",
    moduleResolution: "bundler",
    skipLibCheck,
    types: [],
    lib: ["ES2022", "DOM", "DOM.Iterable"],
    paths: { "livekit-client": [join(WEB, "node_modules/livekit-client")] },
  };
  app.write({ "tsconfig.json": JSON.stringify({ compilerOptions, files }) });
  try {
    return app.run(join(WEB, "node_modules/.bin/tsc"), "-p", "tsconfig.json");
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

it("has types that strict programs compile with", () => {
  const modules = ["keyer", "keyer/video", "keyer/webrtc"].map((name) => `export * from "@cleanplate/${name}";`);
  app.write({ "types.ts": modules.join("\n") });
  expect(compile(["types.ts"], false)).toBe("");
  expect(compile(["main.ts"], true)).toBe(""); // the types of LiveKit itself need it
});

it("has a README whose examples compile", () => {
  const readme = readFileSync(join(WEB, "engine/README.md"), "utf8");
  const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, example]) => example!);
  expect(examples).toHaveLength(4);
  const names = examples.map((_, i) => `readme_${i}.ts`);
  app.write(Object.fromEntries(names.map((name, i) => [name, `${examples[i]}\nexport {};`])));
  app.write({
    "given.d.ts": `
declare const keyer: import("@cleanplate/keyer").Keyer;
declare const photo: Blob;
declare const plate: Blob;
declare const video: HTMLVideoElement;
declare const picture: ImageBitmap;
declare const hint: ImageData;
declare const clipFrames: AsyncIterable<VideoFrame>;
declare const sender: RTCRtpSender;
declare const localVideoTrack: import("livekit-client").LocalVideoTrack;
`,
  });
  expect(compile(["given.d.ts", ...names], true)).toBe("");
});

it("is built by Vite with all its files, and keys in Chromium", async () => {
  await build({ configFile: false, root: app.folder, logLevel: "warn" });
  const { failures, sent } = await checkApp("vite", join(app.folder, "dist"));
  expect(failures).toEqual([]);
  const names = [...sent.keys()].filter((path) => /assets/.test(path)).map((path) => path.replace(/-[\w-]{8}\./, "."));
  expect(names).toContain("/assets/ort.wasm.wasm.gz");
  expect(names).not.toContain("/assets/ort.webgpu.wasm.gz");
});

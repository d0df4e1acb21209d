// Builds dist/: the page, and the engine as an ES module of its own in dist/engine. No network is used.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(web, "dist");
const repository = resolve(web, "..");
const embedded = join(repository, "src/cleanplate/models/embedded");
const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));

rmSync(dist, { recursive: true, force: true });
await buildEngine(join(dist, "engine"));
await buildPage();
await buildServiceWorker();
report();

async function buildEngine(folder) {
  await build({
    configFile: false,
    root: web,
    logLevel: "warn",
    publicDir: false,
    resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser"] },
    build: {
      outDir: folder,
      target: "es2022",
      minify: true,
      lib: {
        entry: { cleanplate: join(web, "engine/index.ts"), worker: join(web, "engine/worker.ts") },
        formats: ["es"],
      },
    },
  });
  // The host may or may not compress; packed here, the large ones always travel packed.
  for (const [name, build] of [
    ["wasm", "ort-wasm-simd-threaded"],
    ["webgpu", "ort-wasm-simd-threaded.asyncify"],
  ]) {
    copyFileSync(join(runtime, `${build}.mjs`), join(folder, `ort.${name}.mjs`));
    writeFileSync(
      join(folder, `ort.${name}.wasm.gz`),
      gzipSync(readFileSync(join(runtime, `${build}.wasm`)), { level: 9 }),
    );
  }
  for (const name of ["lite.coarse.onnx", "lite.refiner.onnx"]) copyFileSync(join(embedded, name), join(folder, name));
  const { models } = JSON.parse(readFileSync(join(embedded, "manifest.json"), "utf8"));
  const files = Object.fromEntries(
    readdirSync(folder)
      .filter((name) => /\.(gz|onnx)$/.test(name))
      .map((name) => [name, statSync(join(folder, name)).size]),
  );
  writeFileSync(join(folder, "engine.json"), JSON.stringify({ model: models.lite.config, files }));
  execFileSync("npx", ["tsc", "-p", "tsconfig.engine.json", "--outDir", join(folder, "types")], {
    cwd: web,
    stdio: "inherit",
  });
  const { version } = JSON.parse(readFileSync(join(web, "package.json"), "utf8"));
  const manifest = {
    name: "cleanplate",
    version,
    license: "MIT",
    type: "module",
    sideEffects: false,
    description: "Cut the subject out with a picture of the empty set, on the visitor's own device.",
    exports: { ".": { types: "./types/index.d.ts", import: "./cleanplate.js" } },
  };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

async function buildPage() {
  await build({ root: web, configFile: join(web, "vite.config.ts"), logLevel: "warn" });
  mkdirSync(join(dist, "examples"), { recursive: true });
  for (const name of ["photo.jpg", "plate.jpg", "clip.mp4", "clip_plate.jpg"]) {
    copyFileSync(join(repository, "samples", name), join(dist, "examples", name));
  }
}

/** The service worker knows every file of the page, and a name for this very set of them. */
async function buildServiceWorker() {
  const { createHash } = await import("node:crypto");
  const paths = listFiles(dist).filter((path) => !/^engine\/(types\/|package\.json|cleanplate\.js)/.test(path));
  const hash = createHash("sha256");
  for (const path of paths) hash.update(path).update(readFileSync(join(dist, path)));
  await build({
    configFile: false,
    root: web,
    logLevel: "warn",
    publicDir: false,
    define: {
      __FILES__: JSON.stringify(["./", ...paths.filter((path) => path !== "index.html")]),
      __VERSION__: JSON.stringify(hash.digest("hex").slice(0, 12)),
    },
    build: {
      outDir: dist,
      emptyOutDir: false,
      target: "es2022",
      lib: { entry: { sw: join(web, "app/sw.ts") }, formats: ["es"] },
    },
  });
}

function listFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort();
}

function report() {
  const total = listFiles(dist).reduce((sum, path) => sum + statSync(join(dist, path)).size, 0);
  console.log(`web/dist: ${listFiles(dist).length} files, ${(total / 1e6).toFixed(1)} MB`);
}

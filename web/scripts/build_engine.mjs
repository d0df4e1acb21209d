// Builds the npm package of the engine: engine/dist. No network is used.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(web, "engine/dist");
const embedded = resolve(web, "../src/cleanplate/models/embedded");
const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));

/** Names of files by their part in the engine, as in `files.ts`; their sizes are for the progress of loading. */
const LOADED = {
  coarse: "lite.coarse.onnx",
  refiner: "lite.refiner.onnx",
  wasm: "ort.wasm.wasm.gz",
  webgpu: "ort.webgpu.wasm.gz",
};

/** Modules that users import, as in `exports` of package.json. */
const ENTRIES = ["index.js", "video/index.js", "adapters/livekit.js", "adapters/webrtc.js"];

export async function buildEngine() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await buildWorker();
  // The page's side is left in modules: bundlers find the files' addresses in them, and drop unused ones.
  execFileSync("npx", ["tsc", "-p", "tsconfig.engine.json"], { cwd: web, stdio: "inherit" });
  dropUnused(ENTRIES);
  copyRuntime();
  copyLicences();
  for (const name of [LOADED.coarse, LOADED.refiner]) copyFileSync(join(embedded, name), join(folder, name));
  const { models } = JSON.parse(readFileSync(join(embedded, "manifest.json"), "utf8"));
  const bytes = Object.fromEntries(Object.entries(LOADED).map(([part, name]) => [part, size(name)]));
  writeFileSync(join(folder, "engine.json"), JSON.stringify({ model: models.lite.config, bytes }));
}

/** One file with ONNX Runtime in it: bundlers copy it, so that none of them has to build a worker. */
async function buildWorker() {
  await build({
    configFile: false,
    root: web,
    logLevel: "warn",
    publicDir: false,
    resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser"] },
    build: {
      outDir: folder,
      emptyOutDir: false,
      target: "es2022",
      minify: true,
      lib: { entry: { worker: join(web, "engine/worker.ts") }, formats: ["es"] },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  });
}

/** Removes the modules that are inside the worker only; their types stay, as others refer to them. */
function dropUnused(entries) {
  const used = new Set(["worker.js"]);
  for (const entry of entries) follow(entry);
  for (const path of readdirSync(folder, { recursive: true })) {
    if (path.endsWith(".js") && !used.has(path)) rmSync(join(folder, path));
  }

  function follow(path) {
    if (used.has(path)) return;
    used.add(path);
    for (const [, to] of readFileSync(join(folder, path), "utf8").matchAll(/ from "(\.[^"]+)"/g)) {
      follow(join(dirname(path), to));
    }
  }
}

function copyRuntime() {
  for (const [name, file] of [
    ["wasm", "ort-wasm-simd-threaded"],
    ["webgpu", "ort-wasm-simd-threaded.asyncify"],
  ]) {
    copyFileSync(join(runtime, `${file}.mjs`), join(folder, `ort.${name}.mjs`));
    // The host may or may not compress; packed here, the large ones always travel packed.
    writeFileSync(join(folder, LOADED[name]), gzipSync(readFileSync(join(runtime, `${file}.wasm`)), { level: 9 }));
  }
}

/** The project's own, and that of ONNX Runtime, which is inside the worker. */
function copyLicences() {
  const [licence, notice] = ["LICENSE", "NOTICE"].map((name) => readFileSync(resolve(web, "..", name), "utf8"));
  const { version } = JSON.parse(readFileSync(resolve(runtime, "../package.json"), "utf8"));
  const theirs = licence.replace(/Copyright .*/, "Copyright (c) Microsoft Corporation");
  writeFileSync(join(web, "engine/LICENSE"), licence);
  writeFileSync(
    join(web, "engine/NOTICE"),
    `${notice}\nThis package contains ONNX Runtime Web ${version}:\n\n${theirs}`,
  );
}

function size(name) {
  return statSync(join(folder, name)).size;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildEngine();
  const total = readdirSync(folder).reduce((sum, name) => sum + size(name), 0);
  console.log(`web/engine/dist: ${readdirSync(folder).length} files, ${(total / 1e6).toFixed(1)} MB`);
}

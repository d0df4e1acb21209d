// Builds dist/: the page, and the engine as an ES module of its own in dist/engine. No network is used.
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { buildEngine } from "./build_engine.mjs";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(web, "dist");
const repository = resolve(web, "..");

rmSync(dist, { recursive: true, force: true });
await buildEngine();
copyEngine(join(dist, "engine"));
await buildPage();
await buildServiceWorker();
report();

/** A copy of the package's files, for pages without a bundler. */
function copyEngine(folder) {
  cpSync(join(web, "engine/dist"), folder, { recursive: true });
  for (const name of ["cleanplate.js", "cleanplate.d.ts"]) {
    writeFileSync(join(folder, name), 'export * from "./index.js";\n');
  }
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
  // Of the engine, the page itself loads the worker and its files.
  const paths = listFiles(dist).filter((path) => !/^engine\/(?!worker\.js|engine\.json|.*\.(mjs|gz|onnx)$)/.test(path));
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

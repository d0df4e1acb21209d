/**
 * The package in apps that webpack and Next build, and in Vite's development server: `make test-hosts`.
 *
 * The bundlers come from the registry of npm. Their newest versions are taken, as a user would get them.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createServer } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WEB } from "../browser/harness.js";
import { type App, checkApp, makeApp } from "./package.js";

const ICON = '<!doctype html><link rel="icon" href="data:," />';

let app: App;

beforeAll(() => {
  app = makeApp("public", ["webpack", "webpack-cli", "next", "react", "react-dom"]);
  for (const name of ["webpack", "next"]) {
    const { version } = JSON.parse(readFileSync(join(app.folder, "node_modules", name, "package.json"), "utf8"));
    console.log(`${name} ${version}`);
  }
  const tsc = join(WEB, "node_modules/.bin/tsc");
  const options = ["--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--noCheck"];
  app.run(tsc, ...options, "--outDir", "code", "main.ts");
});

afterAll(() => app?.remove());

it("is built by webpack", async () => {
  const dist = join(app.folder, "dist");
  app.write({ "webpack.config.js": "export default { mode: 'production', entry: './code/main.js' };" });
  app.run("npx", "webpack");
  cpSync(join(app.folder, "public"), dist, { recursive: true });
  writeFileSync(join(dist, "index.html"), `${ICON}<body><script src="main.js"></script></body>`);
  const { failures } = await checkApp("webpack", dist);
  expect(failures).toEqual([]);
});

for (const bundler of ["turbopack", "webpack"]) {
  it(`is built by Next with ${bundler}, into pages without a server`, async () => {
    mkdirSync(join(app.folder, "app"), { recursive: true });
    app.write({
      "next.config.mjs": "export default { output: 'export', distDir: 'out' };",
      "app/layout.js":
        "export default ({ children }) => <html lang='en'><head><link rel='icon' href='data:,' /></head><body>{children}</body></html>;",
      "app/page.js": `"use client";
import { useEffect } from "react";
import { useTrackProcessor } from "../use_track_processor"; // with the package, which must do no harm on the server
export default function Page() {
  useEffect(() => void import("../code/main.js"), []);
  const { error } = useTrackProcessor();
  return <p>{String(error)}</p>;
}
`,
    });
    cpSync(join(WEB, "engine/examples/use_track_processor.ts"), join(app.folder, "use_track_processor.ts"));
    app.run("npx", "next", "build", `--${bundler}`);
    const { failures } = await checkApp(`next-${bundler}`, join(app.folder, "out"));
    expect(failures).toEqual([]);
  }, 400_000);
}

it("is served by Vite while one develops, if it is not optimised", async () => {
  app.write({
    "index.html": `${ICON}<script type="module" src="/main.ts"></script>`,
  });
  const server = await createServer({
    configFile: false,
    root: app.folder,
    logLevel: "warn",
    optimizeDeps: { exclude: ["@cleanplate/keyer"] },
    server: {
      port: 0,
      headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
    },
  });
  await server.listen();
  try {
    await checkApp("vite-dev", app.folder, { url: server.resolvedUrls!.local[0]! });
  } finally {
    await server.close();
  }
});

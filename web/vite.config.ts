import { resolve } from "node:path";
import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // any folder of any host
  resolve: {
    // The engine's list of files is for other pages' bundlers: this page has the engine in a folder.
    alias: [{ find: /^\.\/bundled_files\.js$/, replacement: resolve(import.meta.dirname, "app/bundled_files.ts") }],
  },
  build: { outDir: "dist", emptyOutDir: false, target: "es2022", assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
});

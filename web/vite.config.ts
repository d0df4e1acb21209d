import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // any folder of any host
  build: { outDir: "dist", emptyOutDir: false, target: "es2022", assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
});

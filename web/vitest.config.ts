import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    fileParallelism: false, // the browser wants the cores for itself
    testTimeout: 900_000,
    hookTimeout: 900_000,
  },
});

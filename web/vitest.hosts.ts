import { defineConfig } from "vitest/config";

/** The package in apps of other bundlers, which come from the registry: `make test-hosts`. */
export default defineConfig({
  test: {
    include: ["tests/hosts/*.hosts.ts"],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 600_000,
    disableConsoleIntercept: true,
  },
});

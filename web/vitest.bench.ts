import { defineConfig } from "vitest/config";

/** Measurements, without tests: `npm run bench`. */
export default defineConfig({ test: { include: ["tests/browser/bench.ts"], disableConsoleIntercept: true } });

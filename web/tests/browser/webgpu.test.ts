/** WebGPU, emulated by the processor: equal numbers, in minutes on two cores. `WEBGPU=1 npm test` runs it. */
import { expect, it } from "vitest";
import type * as Engine from "../../engine/index.js";
import { loadEngine, visit } from "./harness.js";

declare const cleanplate: typeof Engine;

const GPU = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--use-vulkan=swiftshader",
];

it.runIf(process.env.WEBGPU)("gives the same cut-out on WebGPU as on the processor", async ({ skip }) => {
  const visitor = await visit({ path: "engine/engine.json", args: GPU });
  const { page } = visitor;
  const there = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
  if (!there) {
    await visitor.close();
    skip("this Chromium has no WebGPU");
  }
  await loadEngine(page);
  const { backends, largest, subject } = await page.evaluate(async () => {
    const load = async (name: string) => {
      const blob = await (await fetch(`/examples/${name}`)).blob();
      const bitmap = await createImageBitmap(blob, { resizeWidth: 320, resizeHeight: 180, resizeQuality: "high" });
      const context = new OffscreenCanvas(320, 180).getContext("2d")!;
      context.drawImage(bitmap, 0, 0);
      return context.getImageData(0, 0, 320, 180);
    };
    const [photo, plate] = [await load("photo.jpg"), await load("plate.jpg")];
    const backends: string[] = [];
    const alphas: Float32Array[] = [];
    for (const backend of ["webgpu", "wasm"] as const) {
      const keyer = await cleanplate.createKeyer({ backend });
      const shot = await keyer.open(plate, { quality: "live", fit: false });
      backends.push(keyer.backend);
      alphas.push((await shot.keyExactly(photo)).alpha!);
      keyer.close();
    }
    const largest = alphas[0]!.reduce((most, value, i) => Math.max(most, Math.abs(value - alphas[1]![i]!)), 0);
    return { backends, largest, subject: alphas[0]!.reduce((sum, value) => sum + value, 0) / alphas[0]!.length };
  });
  console.log(`largest difference of alpha ${largest.toExponential(1)}`);
  expect(backends).toEqual(["webgpu", "wasm"]);
  expect(largest).toBeLessThan(2e-3);
  expect(subject).toBeGreaterThan(0.05);
  await visitor.close();
});

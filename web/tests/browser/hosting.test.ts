/** On a plain host, in a folder, without a connection, and when files are missing. */
import { expect, it } from "vitest";
import { PATIENCE, type Visit, visit } from "./harness.js";

const keyExample = async ({ page }: Visit): Promise<void> => {
  await page.click("#photo-example");
  await page.waitForSelector("#photo-result:not([hidden])");
};

it("isolates itself on a host without headers, in a folder, and then works without a connection", async () => {
  const visitor = await visit({ plain: true, under: "/some/folder/" });
  const { page, sent } = visitor;
  await page.waitForFunction(() => crossOriginIsolated);
  await page.waitForSelector("html[data-engine]");
  expect(await page.textContent("#engine-facts")).toMatch(/on ([2-9]|1\d) processor threads/);
  // Not waitForFunction: it takes the promise itself for true.
  const isStored = async () => {
    const [name] = await caches.keys();
    const stored = await (await caches.open(name!)).keys();
    return ["clip_maker", "photo.jpg", "/plate.jpg", "clip.mp4", "worker.js"].every((file) =>
      stored.some(({ url }) => url.includes(file)),
    );
  };
  await expect.poll(() => page.evaluate(isStored), { timeout: PATIENCE }).toBe(true);
  const total = [...sent.values()].reduce((sum, bytes) => sum + bytes, 0);
  console.log(`transferred by a first visit, stored for later and all: ${(total / 1e6).toFixed(1)} MB`);
  expect(total).toBeLessThan(20e6);
  visitor.goDown();
  await page.reload();
  await page.waitForSelector("html[data-engine]");
  await keyExample(visitor);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  await visitor.close();
});

it("says that the network cannot be loaded", async () => {
  const visitor = await visit({ serviceWorkers: "block" });
  await visitor.page.route("**/lite.coarse.onnx", (route) => route.fulfill({ status: 404 }));
  await visitor.page.reload();
  await visitor.page.click("#photo-example");
  const message = visitor.page.locator("#photo-message");
  await message.getByText(/lite.coarse.onnx cannot be loaded: the host answers 404/).waitFor();
  await visitor.close();
});

it("can be worked with the keyboard alone", async () => {
  const visitor = await visit();
  const { page } = visitor;
  await page.focus("#tab-photo");
  await page.keyboard.press("ArrowRight");
  expect(await page.evaluate(() => document.activeElement!.id)).toBe("tab-camera");
  expect(await page.isVisible("#camera")).toBe(true);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement!.id)).toBe("photo-file");
  const nameless = await page.evaluate(() => {
    const all = [...document.querySelectorAll<HTMLElement>("button, input, canvas[role], video[controls], a")];
    const label = (one: HTMLElement) => (one as HTMLInputElement).labels?.[0]?.textContent;
    const name = (one: HTMLElement) => (one.getAttribute("aria-label") ?? label(one) ?? one.textContent ?? "").trim();
    return all.filter((one) => !name(one) && !one.matches("video")).map((one) => one.outerHTML);
  });
  expect(nameless).toEqual([]);
  await visitor.close();
});

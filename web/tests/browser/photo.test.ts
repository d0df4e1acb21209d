/** The photo panel, as a visitor uses it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Download } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keepScreenshot, REPOSITORY, sample, type Visit, visit, WEB } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "cleanplate-photo-"));
let visitor: Visit;

beforeAll(async () => {
  visitor = await visit({ viewport: { width: 1280, height: 800 } });
});

afterAll(async () => {
  await visitor?.close();
  rmSync(folder, { recursive: true });
});

const message = () => visitor.page.locator("#photo-message");

describe("photo", () => {
  it("shows what a plate is, and no error", async () => {
    const { page } = visitor;
    await page.waitForSelector("html[data-engine]");
    await keepScreenshot(page, "first-desktop");
    expect(await page.locator(".explain img").count()).toBe(3);
    expect(visitor.errors).toEqual([]);
  });

  it("cuts the example out and saves a PNG of its size with alpha", async () => {
    const { page } = visitor;
    await page.click("#hero-example");
    await page.waitForSelector("#photo-result:not([hidden])");
    await page.waitForTimeout(700);
    await page.locator("#photo-result").scrollIntoViewIfNeeded();
    await keepScreenshot(page, "photo-desktop");
    await page.locator("#studio").screenshot({ path: join(WEB, "test-results/studio.png") }); // docs/images/web.jpg
    expect(await page.textContent("#photo-facts")).toMatch(/1920 × 1080, keyed in .* moved by 2\.\d pixels/);
    const saved = await whileDownloading(() => page.click("#photo-download"));
    expect(saved.suggestedFilename()).toBe("photo.cleanplate.png");
    const png = readFileSync(await saved.path());
    expect([png.readUInt32BE(16), png.readUInt32BE(20), png[25]]).toEqual([1920, 1080, 6]);
    const { opaque, clear, colour } = await look(png);
    expect(opaque).toBeGreaterThan(0.1);
    expect(clear).toBeGreaterThan(0.5);
    expect(colour).toBeGreaterThan(1000); // straight: colour where alpha is small
    expect(await message().textContent()).toBe("");
  });

  it("moves the line with the keyboard, zooms onto the hair", async () => {
    const { page } = visitor;
    await page.focus("#photo-split");
    await page.keyboard.press("Home");
    await page.waitForTimeout(100);
    await page.click("#photo-zoom-edge");
    await page.waitForFunction(() => / %$/.test(document.getElementById("photo-zoom-level")!.textContent!));
    await page.locator("#photo-result").scrollIntoViewIfNeeded();
    await keepScreenshot(page, "edge-desktop");
    await page.focus("#photo-canvas");
    await page.keyboard.press("0");
    await page.waitForFunction(() => document.getElementById("photo-zoom-level")!.textContent === "fit");
  });

  it("puts backgrounds behind, and saves them", async () => {
    const { page } = visitor;
    for (const name of ["Green", "Blurred background"]) {
      await page.check(`#photo-backdrops input[value="${name}"]`);
      await page.waitForTimeout(300);
      await page.locator("#photo-result").scrollIntoViewIfNeeded();
      await keepScreenshot(page, `photo-${name.split(" ")[0]!.toLowerCase()}`);
    }
    await page.setInputFiles('#photo-backdrops input[type="file"]', sample("clip_plate.jpg"));
    await page.waitForSelector("#photo-backdrops .chosen");
    const saved = await whileDownloading(() => page.click("#photo-download-over"));
    expect(saved.suggestedFilename()).toBe("photo.cleanplate.composite.png");
    expect((await look(readFileSync(await saved.path()))).opaque).toBe(1);
  });

  it("fills a hole under a brush stroke, changes nothing elsewhere, and takes strokes back", async () => {
    const { page } = visitor;
    await takeHoledExample();
    const save = async () => readFileSync(await (await whileDownloading(() => page.click("#photo-download"))).path());
    const before = await save();
    await page.click("#photo-paint-add");
    const canvas = page.locator("#photo-canvas");
    expect(await canvas.getAttribute("role")).toBe("application");
    await canvas.scrollIntoViewIfNeeded();
    const box = (await canvas.boundingBox())!;
    const scale = Math.min(box.width / 960, box.height / 540);
    const on = (x: number, y: number) =>
      [box.x + box.width / 2 + (x - 480) * scale, box.y + box.height / 2 + (y - 270) * scale] as const;
    await page.mouse.move(...on(HOLE.x, HOLE.y - 20));
    await page.mouse.down();
    await page.mouse.move(...on(HOLE.x, HOLE.y + 20), { steps: 4 });
    await page.mouse.up();
    await untilStatus("Done, with 1 stroke.");
    await keepScreenshot(page, "paint-desktop");
    const filled = await compareAlpha(before, await save());
    expect(filled.hole[0]).toBeLessThan(0.3); // the network sees the plate there
    expect(filled.hole[1]).toBeGreaterThan(0.97);
    expect(filled.far).toBe(0);

    await page.click("#photo-paint-remove");
    await canvas.focus();
    for (const key of ["ArrowDown", "Space", "ArrowRight", "ArrowRight", "Space"]) await page.keyboard.press(key);
    await untilStatus("Done, with 2 strokes.");
    await page.click("#photo-paint-undo");
    await untilStatus("Done, with 1 stroke.");
    await page.click("#photo-paint-clear");
    await untilStatus("Done, with no strokes.");
    expect(await page.isDisabled("#photo-paint-clear")).toBe(true);
    await canvas.focus();
    await page.keyboard.press("Escape");
    expect(await page.getAttribute("#photo-paint-remove", "aria-pressed")).toBe("false");
    expect((await save()).equals(before)).toBe(true);
  });

  it("says what is wrong with a file that is no picture", async () => {
    const { page } = visitor;
    const text = join(folder, "letter.jpg");
    writeFileSync(text, "no picture");
    await page.setInputFiles("#photo-file", text);
    await message().getByText("'letter.jpg' is not a picture that this browser can read.").waitFor();
    expect(await message().getAttribute("role")).toBe("alert");
    await keepScreenshot(page, "photo-wrong-file");
  });

  it("refuses a plate of another shape, and one of another place", async () => {
    const { page } = visitor;
    await page.setInputFiles("#photo-file", sample("photo.jpg"));
    await page.setInputFiles("#plate-file", join(REPOSITORY, "docs/images/hero.jpg"));
    await message()
      .getByText(/The plate is .* and the picture 1920 x 1080: another shape\./)
      .waitFor();
    await page.setInputFiles("#plate-file", sample("clip_plate.jpg"));
    await message().getByText("The photo and the plate do not fit").waitFor();
  });

  it("says that nothing differs where photo and plate are one", async () => {
    const { page } = visitor;
    await page.setInputFiles("#photo-file", sample("plate.jpg"));
    await page.setInputFiles("#plate-file", sample("plate.jpg"));
    await message().getByText("Nothing differs between the two.").waitFor();
  });

  it("swaps photo and plate", async () => {
    const { page } = visitor;
    await page.setInputFiles("#photo-file", sample("plate.jpg"));
    await page.setInputFiles("#plate-file", sample("photo.jpg"));
    await page.click("#photo-swap");
    await page.waitForFunction(() =>
      document.querySelector("#photo-slots .slot b")!.parentElement!.textContent!.includes("photo.jpg"),
    );
    await page.waitForFunction(() => document.getElementById("status")!.textContent!.startsWith("Done"));
  });

  it("says so when memory runs out", async () => {
    const { page } = visitor;
    await page.evaluate(() => {
      const create = createImageBitmap;
      window.createImageBitmap = (async (...parameters: Parameters<typeof create>) => {
        if (parameters[0] instanceof File) throw new RangeError("Array buffer allocation failed");
        return create(...parameters);
      }) as typeof create;
    });
    await page.setInputFiles("#photo-file", sample("photo.jpg"));
    await message().getByText("too little memory").waitFor();
  });
});

it("can be used on a phone, in the dark", async () => {
  const phone = await visit({
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    hasTouch: true,
    isMobile: true,
    colorScheme: "dark",
  });
  await keepScreenshot(phone.page, "first-phone", true);
  await phone.page.click("#photo-example");
  await phone.page.waitForSelector("#photo-result:not([hidden])");
  await phone.page.waitForTimeout(700);
  await keepScreenshot(phone.page, "photo-phone", true);
  const overflow = await phone.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow).toBeLessThanOrEqual(0);
  await phone.page.tap("#photo-paint-remove");
  await phone.page.locator("#photo-canvas").tap({ position: { x: 252, y: 143 } }); // a dot on the arm
  await phone.page.locator("#status").getByText("Done, with 1 stroke.").waitFor();
  await keepScreenshot(phone.page, "paint-phone");
  await phone.close();
});

/** Hole of the plate's colours in the clothes of the example at half size. */
const HOLE = { x: 590, y: 430, radius: 30 };

/** Chooses the example at half size, with the hole. */
async function takeHoledExample(): Promise<void> {
  const { page } = visitor;
  const files = await page.evaluate(async ({ x, y, radius }) => {
    const open = async (name: string) => createImageBitmap(await (await fetch(`examples/${name}`)).blob());
    const [photo, plate] = await Promise.all([open("photo.jpg"), open("plate.jpg")]);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [960, 540];
    const context = canvas.getContext("2d")!;
    context.drawImage(plate, 0, 0, 960, 540);
    const empty = canvas.toDataURL("image/png");
    context.drawImage(photo, 0, 0, 960, 540);
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.clip();
    context.drawImage(plate, 0, 0, 960, 540);
    return [canvas.toDataURL("image/png"), empty];
  }, HOLE);
  for (const [i, id] of ["#photo-file", "#plate-file"].entries()) {
    const buffer = Buffer.from(files[i]!.split(",")[1]!, "base64");
    await page.setInputFiles(id, { name: `${i}.png`, mimeType: "image/png", buffer });
  }
  await page.getByText(/960 × 540, keyed in/).waitFor();
}

async function untilStatus(text: string): Promise<void> {
  await visitor.page.locator("#status").getByText(text, { exact: true }).waitFor();
}

/** Mean alpha in the hole of two PNGs, and the largest difference more than a radius outside of it, in code values. */
async function compareAlpha(...pngs: [Buffer, Buffer]): Promise<{ hole: number[]; far: number }> {
  return visitor.page.evaluate(
    async ({ encoded, x, y, radius }) => {
      const alphas = await Promise.all(
        encoded.map(async (bytes) => {
          const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${bytes}`)).blob());
          const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
          context.drawImage(bitmap, 0, 0);
          return context.getImageData(0, 0, bitmap.width, bitmap.height).data.filter((_, i) => i % 4 === 3);
        }),
      );
      const distances = alphas[0]!.map((_, i) => Math.min(255, Math.hypot((i % 960) - x, Math.floor(i / 960) - y)));
      const hole = alphas.map((alpha) => {
        const inside = alpha.filter((_, i) => distances[i]! < 0.8 * radius);
        return inside.reduce((sum, value) => sum + value / 255, 0) / inside.length;
      });
      const far = (i: number) => (distances[i]! > 2 * radius ? Math.abs(alphas[0]![i]! - alphas[1]![i]!) : 0);
      return { hole, far: distances.reduce((most, _, i) => Math.max(most, far(i)), 0) };
    },
    { encoded: pngs.map((png) => png.toString("base64")), ...HOLE },
  );
}

async function whileDownloading(act: () => Promise<void>): Promise<Download> {
  const [saved] = await Promise.all([visitor.page.waitForEvent("download"), act()]);
  return saved;
}

/** Shares of opaque and clear pixels of a PNG, and how many nearly clear ones have a colour. */
async function look(png: Buffer): Promise<{ opaque: number; clear: number; colour: number }> {
  return visitor.page.evaluate(async (bytes) => {
    const blob = new Blob([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], { type: "image/png" });
    const decoder = new ImageDecoder({
      data: await blob.arrayBuffer(),
      type: "image/png",
      premultiplyAlpha: "none",
    } as ImageDecoderInit);
    const { image } = await decoder.decode();
    const data = new Uint8Array(image.allocationSize({ format: "RGBA" }));
    await image.copyTo(data, { format: "RGBA" });
    let [opaque, clear, colour] = [0, 0, 0];
    for (let i = 3; i < data.length; i += 4) {
      if (data[i] === 255) opaque++;
      if (data[i] === 0) clear++;
      if (data[i]! > 0 && data[i]! < 20 && data[i - 1]! > 20) colour++;
    }
    return { opaque: (4 * opaque) / data.length, clear: (4 * clear) / data.length, colour };
  }, png.toString("base64"));
}

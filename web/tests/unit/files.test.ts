/** Files that the page writes itself. */
import { inflateSync } from "node:zlib";
import { expect, it } from "vitest";
import { crc32 } from "../../app/crc32.js";
import { encodePng } from "../../app/png.js";
import { Zip } from "../../app/zip.js";

it("has the checksum of PNG and ZIP", () => {
  const bytes = new TextEncoder().encode("123456789");
  expect(crc32(bytes)).toBe(0xcbf43926);
  expect(crc32(bytes.subarray(4), crc32(bytes.subarray(0, 4)))).toBe(0xcbf43926);
});

it("writes a PNG that keeps the colour of what is nearly clear", async () => {
  const data = Uint8ClampedArray.from({ length: 4 * 3 * 2 }, (_, i) => (i % 4 === 3 ? 1 : 37 * i));
  const png = Buffer.from(await (await encodePng({ width: 3, height: 2, data } as ImageData)).arrayBuffer());
  expect(png.subarray(0, 8).toString("hex")).toBe("89504e470d0a1a0a");
  expect(png.subarray(16, 29).toString("hex")).toBe("00000003000000020806000000");
  const length = png.readUInt32BE(33);
  const rows = inflateSync(png.subarray(41, 41 + length));
  expect([rows[0], rows[13]]).toEqual([2, 2]);
  const first = [...rows.subarray(1, 13)];
  expect(first).toEqual([...data.subarray(0, 12)]);
  expect([...rows.subarray(14)].map((value, i) => (value + first[i]!) & 255)).toEqual([...data.subarray(12)]);
});

it("writes an archive that lists what it holds", async () => {
  const zip = new Zip();
  await zip.add("one.txt", new Blob(["first"]));
  await zip.add("two.txt", new Blob(["second"]));
  const bytes = Buffer.from(await zip.finish().arrayBuffer());
  const end = bytes.length - 22;
  expect(bytes.readUInt32LE(end)).toBe(0x06054b50);
  expect(bytes.readUInt16LE(end + 10)).toBe(2);
  const start = bytes.readUInt32LE(end + 16);
  expect(bytes.readUInt32LE(start)).toBe(0x02014b50);
  expect(bytes.subarray(start + 46, start + 53).toString()).toBe("one.txt");
  const second = bytes.readUInt32LE(start + 53 + 42);
  expect(bytes.subarray(second + 37, second + 43).toString()).toBe("second");
});

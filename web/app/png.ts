/**
 * PNG with straight alpha, exact: a canvas stores colour multiplied by alpha, and so loses colour where alpha is
 * small (PNG specification, third edition).
 */
import { crc32 } from "./crc32.js";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const RGBA = 6;
const FILTER_UP = 2;

export async function encodePng({ width, height, data }: ImageData): Promise<Blob> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, RGBA, 0, 0, 0], 8);
  const packed = new Blob([filter(data, width, height)]).stream().pipeThrough(new CompressionStream("deflate"));
  const body = new Uint8Array(await new Response(packed).arrayBuffer());
  const parts = [SIGNATURE, ...chunk("IHDR", header), ...chunk("IDAT", body), ...chunk("IEND", new Uint8Array())];
  return new Blob(parts, { type: "image/png" });
}

/** Each row as its difference from the one above: even surfaces become zeros. */
function filter(data: ImageDataArray, width: number, height: number): Uint8Array<ArrayBuffer> {
  const stride = 4 * width;
  const filtered = new Uint8Array((stride + 1) * height);
  for (let y = 0, to = 0; y < height; y++) {
    filtered[to++] = FILTER_UP;
    const row = y * stride;
    for (let x = 0; x < stride; x++, to++) filtered[to] = data[row + x]! - (y ? data[row + x - stride]! : 0);
  }
  return filtered;
}

function chunk(name: string, body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, body.length);
  head.set(new TextEncoder().encode(name), 4);
  const end = new Uint8Array(4);
  new DataView(end.buffer).setUint32(0, crc32(body, crc32(head.subarray(4))));
  return [head, body, end];
}

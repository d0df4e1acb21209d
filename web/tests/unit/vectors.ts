import { readFileSync } from "node:fs";
import { type Maps, makePicture, type Picture } from "../../engine/picture.js";

interface Packed {
  shape: number[];
  type: "f4" | "u1" | "i4";
  data: string;
}

/** Content of the files of `tests/vectors/make.py`. */
export const vectors = readVectors("router");

export function readVectors(name: string) {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
}

export function unpack(packed: Packed): Float32Array | Uint8Array | Int32Array {
  const bytes = Uint8Array.from(Buffer.from(packed.data, "base64"));
  if (packed.type === "u1") return bytes;
  return packed.type === "f4" ? new Float32Array(bytes.buffer) : new Int32Array(bytes.buffer);
}

export function unpackMaps(packed: Packed): Maps {
  const [channels, height, width] = packed.shape as [number, number, number];
  return { channels, height, width, data: Float32Array.from(unpack(packed)) };
}

/** RGB or RGBA of the vectors as the engine's RGBA. */
export function unpackPicture(packed: Packed): Picture {
  const [height, width, channels] = packed.shape as [number, number, number];
  const picture = makePicture(width, height);
  picture.data.fill(255);
  const bytes = unpack(packed);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < channels; c++) picture.data[4 * i + c] = bytes[channels * i + c]!;
  }
  return picture;
}

/** The largest difference of two lists of numbers of one length. */
export function largestDifference(one: ArrayLike<number>, other: ArrayLike<number>): number {
  if (one.length !== other.length) throw new Error(`${one.length} values against ${other.length}`);
  let largest = 0;
  for (let i = 0; i < one.length; i++) {
    const difference = Math.abs(one[i]! - other[i]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

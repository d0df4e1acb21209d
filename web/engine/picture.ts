/** Pixels as the engine handles them: RGBA, 8 bits, straight, as canvases give them. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** `4 * width * height` bytes; the router ignores the fourth of each pixel. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** Maps of one size, one after another: `channels * height * width` values. */
export interface Maps {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

export interface Size {
  readonly height: number;
  readonly width: number;
}

export function makePicture(width: number, height: number): Picture {
  return { width, height, data: new Uint8ClampedArray(4 * width * height) };
}

/** The same pixels, one number each: red in the lowest byte (little-endian, as every browser's machine is). */
export function pixelWords({ data }: Picture): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
}

export function makeMaps(channels: number, height: number, width: number): Maps {
  return { channels, height, width, data: new Float32Array(channels * height * width) };
}

/** A picture with its last column and row repeated up to `size`; the same one where nothing is to be added. */
export function pad(picture: Picture, { height, width }: Size, into?: Picture): Picture {
  if (picture.width === width && picture.height === height) return picture;
  const padded = into?.width === width && into.height === height ? into : makePicture(width, height);
  const from = new Uint32Array(picture.data.buffer, picture.data.byteOffset, picture.width * picture.height);
  const to = new Uint32Array(padded.data.buffer, padded.data.byteOffset, width * height);
  for (let y = 0; y < height; y++) {
    const start = Math.min(y, picture.height - 1) * picture.width;
    to.set(from.subarray(start, start + picture.width), y * width);
    to.fill(from[start + picture.width - 1]!, y * width + picture.width, (y + 1) * width);
  }
  return padded;
}

/** The upper left part of a picture, as a new one of exactly that size. */
export function crop(picture: Picture, { height, width }: Size): Picture {
  const cropped = makePicture(width, height);
  for (let y = 0; y < height; y++) {
    const start = 4 * y * picture.width;
    cropped.data.set(picture.data.subarray(start, start + 4 * width), 4 * y * width);
  }
  return cropped;
}

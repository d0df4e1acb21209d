/** Resizing with results equal to those of OpenCV in the Python package. */
import { type Maps, makeMaps, makePicture, type Picture, pixelWords, type Size } from "./picture.js";

/** Bilinear: half-pixel centres, the edge repeated. */
export interface Taps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  /** Weight of `high`; that of `low` is the rest of 1. */
  readonly share: Float32Array;
}

export function bilinearTaps(size: number, wanted: number): Taps {
  const low = new Int32Array(wanted);
  const high = new Int32Array(wanted);
  const share = new Float32Array(wanted);
  for (let i = 0; i < wanted; i++) {
    const position = Math.min(Math.max((i + 0.5) * (size / wanted) - 0.5, 0), size - 1);
    low[i] = Math.floor(position);
    high[i] = Math.min(low[i]! + 1, size - 1);
    share[i] = position - low[i]!;
  }
  return { low, high, share };
}

/** A rectangle of a picture, in its pixels. */
export interface Area extends Size {
  readonly top: number;
  readonly left: number;
}

export function wholeArea({ height, width }: Size): Area {
  return { top: 0, left: 0, height, width };
}

/** Calls `use` with each row of one map at `size`; the row is overwritten by the next. */
export function forEachRow(
  map: Float32Array,
  { height, width }: Size,
  size: Size,
  use: (row: Float32Array, y: number) => void,
): void {
  const rows = bilinearTaps(height, size.height);
  const columns = bilinearTaps(width, size.width);
  const narrow = new Float32Array(width);
  const wide = new Float32Array(size.width);
  const { low, high, share } = columns;
  for (let y = 0; y < size.height; y++) {
    const upper = rows.low[y]! * width;
    const lower = rows.high[y]! * width;
    const down = rows.share[y]!;
    for (let x = 0; x < width; x++) {
      const value = map[upper + x]!;
      narrow[x] = value + (map[lower + x]! - value) * down;
    }
    for (let x = 0; x < size.width; x++) {
      const value = narrow[low[x]!]!;
      wide[x] = value + (narrow[high[x]!]! - value) * share[x]!;
    }
    use(wide, y);
  }
}

/** The picture at `size`, each pixel the mean of its area, as `channels` maps in [0, 1]. */
export function shrink(picture: Picture, size: Size, channels: 3 | 4, into?: Maps): Maps {
  const small = reduce(picture, size);
  const maps =
    into?.channels === channels && into.height === size.height && into.width === size.width
      ? into
      : makeMaps(channels, size.height, size.width);
  const area = size.height * size.width;
  for (let channel = 0; channel < channels; channel++) {
    const plane = maps.data.subarray(channel * area, (channel + 1) * area);
    for (let i = 0, at = channel; i < area; i++, at += 4) plane[i] = small.data[at]! * (1 / 255);
  }
  return maps;
}

/** The picture at `size` by averaging, rounded to 8 bits after each step as the Python package does it. */
export function reduce(picture: Picture, size: Size): Picture {
  let small = picture;
  while (halvesTowards(small, size)) small = halve(small);
  return small.height === size.height && small.width === size.width ? small : average(small, size);
}

function halvesTowards({ height, width }: Size, to: Size): boolean {
  if (height % 2 || width % 2 || height / 2 < to.height || width / 2 < to.width) return false;
  const whole = height % to.height === 0 && width % to.width === 0;
  return !whole || ((height / 2) % to.height === 0 && (width / 2) % to.width === 0);
}

function halve(picture: Picture): Picture {
  const half = makePicture(picture.width / 2, picture.height / 2);
  const from = pixelWords(picture);
  const to = pixelWords(half);
  const stride = picture.width;
  // Two channels at a time, each with a byte of room above.
  for (let y = 0, i = 0; y < half.height; y++) {
    for (let x = 0, at = 2 * y * stride; x < half.width; x++, at += 2, i++) {
      const [a, b, c, d] = [from[at]!, from[at + 1]!, from[at + stride]!, from[at + stride + 1]!];
      const even = (a & PAIR) + (b & PAIR) + (c & PAIR) + (d & PAIR) + 0x00020002;
      const odd = ((a >>> 8) & PAIR) + ((b >>> 8) & PAIR) + ((c >>> 8) & PAIR) + ((d >>> 8) & PAIR) + 0x00020002;
      to[i] = ((even >>> 2) & PAIR) | (((odd >>> 2) & PAIR) << 8);
    }
  }
  return half;
}

const PAIR = 0x00ff00ff;

/** For each pixel of the smaller side: the first one that it covers, and the weights from there on. */
function areaTaps(size: number, wanted: number): { first: Int32Array; weights: Float32Array[] } {
  const ratio = size / wanted;
  const first = new Int32Array(wanted);
  const weights: Float32Array[] = [];
  for (let i = 0; i < wanted; i++) {
    const from = i * ratio;
    const to = Math.min(from + ratio, size);
    // A very small share of a pixel is a rounding error.
    const start = Math.floor(from + 1e-3);
    const end = Math.ceil(to - 1e-3);
    first[i] = start;
    const shares = new Float32Array(end - start);
    for (let j = start; j < end; j++) {
      shares[j - start] = Math.min(Math.min(j + 1, to) - Math.max(j, from), 1) / (to - from);
    }
    weights.push(shares);
  }
  return { first, weights };
}

function average(picture: Picture, size: Size): Picture {
  const small = makePicture(size.width, size.height);
  const rows = areaTaps(picture.height, size.height);
  const columns = areaTaps(picture.width, size.width);
  const { data, width } = picture;
  const sums = new Float32Array(4 * width);
  for (let y = 0, to = 0; y < size.height; y++) {
    // Down first, over whole rows; then across.
    sums.fill(0);
    const shares = rows.weights[y]!;
    for (let j = 0; j < shares.length; j++) {
      const share = shares[j]!;
      const from = 4 * width * (rows.first[y]! + j);
      for (let i = 0; i < 4 * width; i++) sums[i] = sums[i]! + share * data[from + i]!;
    }
    for (let x = 0; x < size.width; x++, to += 4) {
      const across = columns.weights[x]!;
      let r = 0;
      let g = 0;
      let b = 0;
      let a = 0;
      for (let j = 0, at = 4 * columns.first[x]!; j < across.length; j++, at += 4) {
        const share = across[j]!;
        r += share * sums[at]!;
        g += share * sums[at + 1]!;
        b += share * sums[at + 2]!;
        a += share * sums[at + 3]!;
      }
      small.data[to] = r;
      small.data[to + 1] = g;
      small.data[to + 2] = b;
      small.data[to + 3] = a;
    }
  }
  return small;
}

/** One map at another size: the mean of each pixel's area along axes that shrink, bilinear along those that grow. */
export function resizeMap(map: Float32Array, from: Size, to: Size): Float32Array {
  const rows = mapTaps(from.height, to.height);
  const columns = mapTaps(from.width, to.width);
  const result = new Float32Array(to.height * to.width);
  const sums = new Float32Array(from.width);
  for (let y = 0, at = 0; y < to.height; y++) {
    sums.fill(0);
    rows.weights[y]!.forEach((share, j) => {
      const start = (rows.first[y]! + j) * from.width;
      for (let x = 0; x < from.width; x++) sums[x] = sums[x]! + share * map[start + x]!;
    });
    for (let x = 0; x < to.width; x++, at++) {
      const across = columns.weights[x]!;
      const start = columns.first[x]!;
      for (let j = 0; j < across.length; j++) result[at] = result[at]! + across[j]! * sums[start + j]!;
    }
  }
  return result;
}

function mapTaps(size: number, wanted: number): { first: Int32Array; weights: Float32Array[] } {
  if (wanted <= size) return areaTaps(size, wanted);
  const { low, high, share } = bilinearTaps(size, wanted);
  return {
    first: low,
    weights: Array.from(low, (first, i) =>
      high[i] === first ? Float32Array.of(1) : Float32Array.of(1 - share[i]!, share[i]!),
    ),
  };
}

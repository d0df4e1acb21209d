/** Dilation, erosion and connected parts of maps, as OpenCV has them: pixels beyond the border do not count. */
import type { Size } from "../picture.js";

/** A flat structuring element: for each of its rows, the reach to both sides; all of them odd. */
export type Element = readonly number[];

export const SQUARE: Element = [1, 1, 1];

/** OpenCV's ellipse of equal axes. */
export function disc(radius: number): Element {
  return Array.from({ length: 2 * radius + 1 }, (_, i) => Math.round(Math.sqrt(radius ** 2 - (i - radius) ** 2)));
}

export function dilate(map: Float32Array, size: Size, element: Element): Float32Array {
  return extreme(map, size, element, 1);
}

export function erode(map: Float32Array, size: Size, element: Element): Float32Array {
  return extreme(map, size, element, -1);
}

/** The largest (sign 1) or smallest (sign -1) value under the element. */
function extreme(map: Float32Array, { height, width }: Size, element: Element, sign: 1 | -1): Float32Array {
  const result = new Float32Array(map.length);
  const radius = (element.length - 1) / 2;
  for (let y = 0, at = 0; y < height; y++) {
    const [first, last] = [Math.max(-radius, -y), Math.min(radius, height - 1 - y)];
    for (let x = 0; x < width; x++, at++) {
      let best = sign * map[at]!;
      for (let row = first; row <= last; row++) {
        const reach = element[row + radius]!;
        const start = (y + row) * width;
        const end = Math.min(x + reach, width - 1);
        for (let column = Math.max(x - reach, 0); column <= end; column++) {
          const value = sign * map[start + column]!;
          if (value > best) best = value;
        }
      }
      result[at] = sign * best;
    }
  }
  return result;
}

/** Numbers the parts of a mask whose pixels are neighbours along a row or a column, from 1; 0 is outside of it. */
export function labelParts(mask: Float32Array, { height, width }: Size): { labels: Int32Array; count: number } {
  const labels = new Int32Array(mask.length);
  const stack: number[] = [];
  let count = 1;
  const visit = (at: number) => {
    if (!mask[at] || labels[at]) return;
    labels[at] = count;
    stack.push(at);
  };
  for (let seed = 0; seed < mask.length; seed++) {
    visit(seed);
    if (!stack.length) continue;
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const x = at % width;
      if (x > 0) visit(at - 1);
      if (x < width - 1) visit(at + 1);
      if (at >= width) visit(at - width);
      if (at < (height - 1) * width) visit(at + width);
    }
    count++;
  }
  return { labels, count };
}

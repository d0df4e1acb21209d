/** A picture beside its cut-out, with controls: dividing line, zoom, and brushes. */
import { Brushes } from "./brushes.js";
import { button, element } from "./dom.js";
import { say } from "./messages.js";
import { type Compared, Viewer } from "./viewer.js";

export class Easel {
  private readonly viewer: Viewer;
  private readonly brushes: Brushes;
  private cutout: ImageData | undefined;

  /**
   * @param name Start of the ids of its elements; it is built into the one of id `name-easel`.
   * @param before Name of the picture, such as "Photo".
   * @param keyWith Keys the picture with the hint of the strokes (none without strokes) and shows the result; called
   *   after each change of the strokes. Tells whether it is shown: not if another one was asked for meanwhile.
   * @param onError Called with its failures.
   */
  constructor(
    name: string,
    before: string,
    private readonly keyWith: (hint: ImageData | undefined) => Promise<boolean>,
    private readonly onError: (error: unknown) => void,
  ) {
    const place = element(`${name}-easel`, HTMLElement);
    place.append(element("easel", HTMLTemplateElement).content.cloneNode(true));
    for (const part of place.querySelectorAll<HTMLElement>("[data-part]")) part.id = `${name}-${part.dataset.part}`;
    for (const label of place.querySelectorAll("[data-before]")) label.textContent = before;
    const split = element(`${name}-split`, HTMLInputElement);
    split.ariaLabel = `Dividing line between ${before.toLowerCase()} and cut-out`;
    const level = element(`${name}-zoom-level`, HTMLOutputElement);
    const canvas = element(`${name}-canvas`, HTMLCanvasElement);
    this.viewer = new Viewer(canvas, (at, zoom) => {
      split.value = String(100 * at);
      level.value = zoom === undefined ? "fit" : `${Math.round(100 * zoom)} %`;
    });
    this.brushes = new Brushes(
      name,
      `The cut-out beside the ${before.toLowerCase()}`,
      this.viewer,
      canvas,
      (hint) => void this.keyAgain(hint),
    );
    split.oninput = () => this.viewer.setSplit(Number(split.value) / 100);
    button(`${name}-zoom-in`).onclick = () => this.viewer.zoomBy(1);
    button(`${name}-zoom-out`).onclick = () => this.viewer.zoomBy(-1);
    button(`${name}-zoom-edge`).onclick = () => this.showEdge();
  }

  /** Number of strokes on the picture. */
  get strokes(): number {
    return this.brushes.count;
  }

  /** Forgets the strokes, for another picture. */
  reset(width: number, height: number): void {
    this.brushes.reset(width, height);
  }

  /** @param cutout In which the finest edge is looked for. */
  show(compared: Compared, cutout: ImageData): void {
    this.cutout = cutout;
    this.viewer.show(compared);
  }

  /** Keys with the strokes so far, and tells how many are in the result. */
  private async keyAgain(hint: ImageData | undefined): Promise<void> {
    say("Cutting out …");
    try {
      if (!(await this.keyWith(hint))) return;
      say(`Done, with ${this.strokes || "no"} ${this.strokes === 1 ? "stroke" : "strokes"}.`);
    } catch (error) {
      say("");
      this.onError(error);
    }
  }

  private showEdge(): void {
    if (!this.cutout) return;
    const { x, y } = findFinestEdge(this.cutout);
    this.viewer.lookAt(x, y);
  }
}

/** Finds the place with the most half-transparent pixels, usually hair. */
function findFinestEdge({ data, width, height }: ImageData): { x: number; y: number } {
  const cell = Math.max(16, Math.round(width / 24));
  const columns = Math.ceil(width / cell);
  const soft = new Uint32Array(columns * Math.ceil(height / cell));
  for (let y = 0; y < height; y++) {
    for (let x = 0, at = 4 * y * width + 3; x < width; x++, at += 4) {
      if (data[at]! > 30 && data[at]! < 225) soft[Math.floor(y / cell) * columns + Math.floor(x / cell)]!++;
    }
  }
  const best = soft.indexOf(Math.max(...soft));
  return { x: ((best % columns) + 0.5) * cell, y: (Math.floor(best / columns) + 0.5) * cell };
}

/** The photo panel: two files in, the cut-out beside the photo, PNG out. */
import type { Fit, Matte, Shot } from "../engine/index.js";
import { BackdropPicker } from "./backdrops.js";
import { Brushes } from "./brushes.js";
import { button, context2d, download, element, resultName } from "./dom.js";
import { getKeyer } from "./engine.js";
import { Messages, say } from "./messages.js";
import { encodePng } from "./png.js";
import { fetchExample, Slot } from "./slot.js";
import { Viewer } from "./viewer.js";

interface Result {
  readonly files: { readonly photo: File; readonly plate: File };
  /** With the fitted plate, from the first stroke on. */
  shot?: Shot | undefined;
  matte: Matte;
  cutout: ImageBitmap;
  readonly photo: ImageBitmap;
  readonly plate: ImageBitmap;
}

export class PhotoPanel {
  private readonly messages = new Messages("photo-message");
  private readonly photo: Slot;
  private readonly plate: Slot;
  private readonly viewer: Viewer;
  private readonly brushes: Brushes;
  private readonly backdrops: BackdropPicker;
  private result: Result | undefined;
  private run = 0;
  /** Number of the hint in the present result, and its keying. */
  private hints = 0;
  private keying: Promise<unknown> | undefined;

  constructor() {
    const onChange = () => void this.update();
    this.photo = new Slot({
      id: "photo-file",
      title: "Photo",
      hint: "with your subject. Drop or choose",
      accept: "image/*",
      onChange,
    });
    this.plate = new Slot({
      id: "plate-file",
      title: "Plate",
      hint: "the same view, empty. Drop or choose",
      accept: "image/*",
      onChange,
    });
    element("photo-slots", HTMLElement).append(this.photo.root, this.plate.root);

    const split = element("photo-split", HTMLInputElement);
    const canvas = element("photo-canvas", HTMLCanvasElement);
    this.viewer = new Viewer(canvas, (at, zoom) => {
      split.value = String(100 * at);
      element("zoom-level", HTMLOutputElement).value = zoom === undefined ? "fit" : `${Math.round(100 * zoom)} %`;
    });
    this.brushes = new Brushes(this.viewer, canvas, (hint) => void this.keyAgain(hint));
    split.oninput = () => this.viewer.setSplit(Number(split.value) / 100);
    this.backdrops = new BackdropPicker(
      element("photo-backdrops", HTMLFieldSetElement),
      () => this.compose(),
      (error) => this.messages.fail(error),
    );
    button("zoom-in").onclick = () => this.viewer.zoomBy(1);
    button("zoom-out").onclick = () => this.viewer.zoomBy(-1);
    button("zoom-edge").onclick = () => this.showEdge();
    button("photo-example").onclick = () => void this.useExample();
    button("photo-swap").onclick = () => {
      const { file } = this.photo;
      this.photo.take(this.plate.file, true);
      this.plate.take(file);
    };
    button("photo-download").onclick = () => void this.save();
    button("photo-download-over").onclick = () => void this.saveOver();
  }

  async useExample(): Promise<void> {
    try {
      const [photo, plate] = await Promise.all([fetchExample("photo.jpg"), fetchExample("plate.jpg")]);
      this.photo.take(photo, true);
      this.plate.take(plate);
    } catch (error) {
      this.messages.fail(error);
    }
  }

  private async update(): Promise<void> {
    const [photo, plate] = [this.photo.file, this.plate.file];
    this.messages.clear();
    button("photo-swap").hidden = !(photo && plate);
    if (!photo || !plate) {
      say(
        photo ? "Now the plate: the same view without your subject." : plate ? "Now the photo with your subject." : "",
      );
      return;
    }
    const run = ++this.run;
    this.closeShot();
    try {
      say("Cutting out …");
      const keyer = await getKeyer();
      say("Cutting out …");
      const matte = await keyer.key(photo, plate);
      const [cutout, photoBitmap, plateBitmap] = await Promise.all([
        createImageBitmap(matte.cutout),
        createImageBitmap(photo),
        createImageBitmap(plate),
      ]);
      if (run !== this.run) return; // other files were chosen meanwhile
      this.take({ files: { photo, plate }, matte, cutout, photo: photoBitmap, plate: plateBitmap });
    } catch (error) {
      if (run !== this.run) return;
      say("");
      element("photo-result", HTMLElement).hidden = true;
      this.messages.fail(error);
    }
  }

  private take(result: Result): void {
    this.closeShot();
    for (const old of [this.result?.cutout, this.result?.photo, this.result?.plate]) old?.close();
    this.result = result;
    this.brushes.reset(result.cutout.width, result.cutout.height);
    element("photo-slots", HTMLElement).classList.add("small");
    element("photo-result", HTMLElement).hidden = false;
    this.compose();
    this.describe(result.matte);
    element("photo-result", HTMLElement).scrollIntoView({ block: "nearest" });
    say("Done. The line can be moved: the photo is left of it, the cut-out right.");
  }

  /** Keys the photo with the strokes so far; strokes that follow before it is done replace it. */
  private async keyAgain(hint: ImageData | undefined): Promise<void> {
    const { result } = this;
    if (!result) return;
    const number = ++this.hints;
    const outdated = () => result !== this.result || number !== this.hints;
    say("Cutting out …");
    try {
      await this.keying;
      if (outdated()) return;
      const keyed = this.keyWith(hint, result);
      this.keying = keyed.catch(() => undefined);
      const matte = await keyed;
      const cutout = await createImageBitmap(matte.cutout);
      if (outdated()) {
        cutout.close();
        return;
      }
      result.cutout.close();
      [result.matte, result.cutout] = [matte, cutout];
      this.compose();
      this.describe(matte);
      const { count } = this.brushes;
      say(`Done, with ${count || "no"} ${count === 1 ? "stroke" : "strokes"}.`);
    } catch (error) {
      if (outdated()) return;
      say("");
      this.messages.fail(error);
    }
  }

  private async keyWith(hint: ImageData | undefined, result: Result): Promise<Matte> {
    const shot = result.shot ?? (await (await getKeyer()).open(result.files.plate));
    if (result === this.result) result.shot = shot;
    const matte = await shot.key(result.files.photo, hint);
    if (result !== this.result) shot.close();
    return matte;
  }

  /** Frees the memory of a shot, and drops what it still keys. */
  private closeShot(): void {
    this.hints++;
    this.result?.shot?.close();
    if (this.result) this.result.shot = undefined;
  }

  private describe(matte: Matte): void {
    this.messages.clear();
    for (const note of matte.fit.notes) this.messages.note(note, "Look at the result closely.");
    if (matte.changed < 0.0005) {
      this.messages.note("Nothing differs between the two.", "Is your subject in the photo, and not in the plate?");
    } else if (matte.changed > 0.85) {
      this.messages.note(
        "Nearly everything differs from the plate.",
        "Do both show the same place, from the same spot?",
      );
    }
    element("photo-facts", HTMLElement).textContent = describe(matte);
  }

  /** Composites the cut-out over the chosen backdrop. */
  private compose(): void {
    button("photo-download-over").hidden = this.backdrops.chosen.kind === "none";
    if (!this.result) return;
    const { cutout, photo } = this.result;
    const { width, height } = cutout;
    this.viewer.show({
      width,
      height,
      before: photo,
      after: this.backdrops.chosen.kind === "none" ? cutout : this.over(),
    });
  }

  private over(): HTMLCanvasElement {
    const { cutout, plate } = this.result!;
    const canvas = document.createElement("canvas");
    canvas.width = cutout.width;
    canvas.height = cutout.height;
    const context = context2d(canvas);
    this.backdrops.paint(context, cutout.width, cutout.height, plate);
    context.drawImage(cutout, 0, 0);
    return canvas;
  }

  private showEdge(): void {
    if (!this.result) return;
    const { x, y } = findFinestEdge(this.result.matte.cutout);
    this.viewer.lookAt(x, y);
  }

  private async save(): Promise<void> {
    if (!this.result) return;
    try {
      download(await encodePng(this.result.matte.cutout), resultName(this.result.files.photo.name, "png"));
    } catch (error) {
      this.messages.fail(error);
    }
  }

  private async saveOver(): Promise<void> {
    if (!this.result) return;
    const { name } = this.result.files.photo;
    this.over().toBlob((blob) => {
      if (blob) download(blob, resultName(name, "composite.png"));
      else this.messages.fail(new RangeError("out of memory"));
    }, "image/png");
  }
}

/** Describes the plate's fit in one line. */
function describe({ cutout, fit, milliseconds }: Matte): string {
  const seconds = (milliseconds / 1000).toFixed(1);
  return [`${cutout.width} × ${cutout.height}, keyed in ${seconds} s.`, describeFit(fit)].filter(Boolean).join(" ");
}

export function describeFit({ moved, shiftPixels, gain }: Fit): string {
  const light = Math.round(100 * ((gain[0] + gain[1] + gain[2]) / 3 - 1));
  const done = [
    moved ? `moved by ${shiftPixels.toFixed(1)} pixels` : "",
    light ? `made ${Math.abs(light)} % ${light > 0 ? "brighter" : "darker"}` : "",
  ].filter(Boolean);
  return done.length ? `The plate was ${done.join(" and ")} to fit.` : "";
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

/** The photo panel: two files in, the cut-out beside the photo, PNG out. */
import type { Fit, Matte } from "../engine/index.js";
import { BackdropPicker } from "./backdrops.js";
import { button, context2d, download, element, resultName } from "./dom.js";
import { Easel } from "./easel.js";
import { getKeyer } from "./engine.js";
import { Messages, say } from "./messages.js";
import { encodePng } from "./png.js";
import { fetchExample, Slot } from "./slot.js";
import { Still } from "./still.js";

interface Result {
  readonly name: string;
  readonly still: Still;
  matte: Matte;
  cutout: ImageBitmap;
  readonly photo: ImageBitmap;
  readonly plate: ImageBitmap;
}

export class PhotoPanel {
  private readonly messages = new Messages("photo-message");
  private readonly photo: Slot;
  private readonly plate: Slot;
  private readonly easel: Easel;
  private readonly backdrops: BackdropPicker;
  private result: Result | undefined;
  private run = 0;

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

    this.easel = new Easel(
      "photo",
      "Photo",
      (hint) => this.keyAgain(hint),
      (error) => this.messages.fail(error),
    );
    this.backdrops = new BackdropPicker(
      element("photo-backdrops", HTMLFieldSetElement),
      () => this.compose(),
      (error) => this.messages.fail(error),
    );
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
    this.result?.still.close();
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
      const still = new Still(photo, async () => (await getKeyer()).open(plate));
      this.take({ name: photo.name, still, matte, cutout, photo: photoBitmap, plate: plateBitmap });
    } catch (error) {
      if (run !== this.run) return;
      say("");
      element("photo-result", HTMLElement).hidden = true;
      this.messages.fail(error);
    }
  }

  private take(result: Result): void {
    this.result?.still.close();
    for (const old of [this.result?.cutout, this.result?.photo, this.result?.plate]) old?.close();
    this.result = result;
    this.easel.reset(result.cutout.width, result.cutout.height);
    element("photo-slots", HTMLElement).classList.add("small");
    element("photo-result", HTMLElement).hidden = false;
    this.compose();
    this.describe(result.matte);
    element("photo-result", HTMLElement).scrollIntoView({ block: "nearest" });
    say("Done. The line can be moved: the photo is left of it, the cut-out right.");
  }

  /** Keys the photo with the strokes so far; tells whether the result is shown. */
  private async keyAgain(hint: ImageData | undefined): Promise<boolean> {
    const { result } = this;
    const keyed = await result?.still.key(hint);
    if (!result || !keyed) return false;
    result.cutout.close();
    [result.matte, result.cutout] = [keyed.matte, keyed.cutout];
    this.compose();
    this.describe(keyed.matte);
    return true;
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
    const after = this.backdrops.chosen.kind === "none" ? cutout : this.over();
    this.easel.show({ width, height, before: photo, after }, this.result.matte.cutout);
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

  private async save(): Promise<void> {
    if (!this.result) return;
    try {
      download(await encodePng(this.result.matte.cutout), resultName(this.result.name, "png"));
    } catch (error) {
      this.messages.fail(error);
    }
  }

  private async saveOver(): Promise<void> {
    if (!this.result) return;
    const { name } = this.result;
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

/** The first frame of a clip beside its cut-out, with brushes: strokes for the whole clip. */
import { Easel } from "./easel.js";
import { getKeyer } from "./engine.js";
import { Still } from "./still.js";

interface Opened {
  readonly clip: File;
  readonly plate: File;
  readonly frame: HTMLCanvasElement;
  readonly still: Still;
  cutout?: ImageBitmap;
}

export class FirstFrame {
  private readonly easel: Easel;
  private opened: Opened | undefined;
  private strokes: ImageData | undefined;

  /** @param onError Called with failures of keying after a stroke. */
  constructor(onError: (error: unknown) => void) {
    this.easel = new Easel("frame", "First frame", (hint) => this.keyAgain(hint), onError);
  }

  /** White strokes on the subject, black ones on the background, of the clip that was opened; none without strokes. */
  hintFor(clip: File, plate: File): ImageData | undefined {
    return this.isOf(clip, plate) ? this.strokes : undefined;
  }

  get strokeCount(): number {
    return this.easel.strokes;
  }

  /** Keys and shows the first frame of a clip; strokes stay as long as clip and plate are the same. */
  async open(clip: File, plate: File): Promise<void> {
    if (this.opened && this.isOf(clip, plate)) {
      await this.key(this.opened);
      return;
    }
    this.close();
    // Loaded late, as for the clip itself.
    const { readFirstFrame } = await import("./clip_maker.js");
    const frame = await readFirstFrame(clip);
    const still = new Still(frame, async () => (await getKeyer()).open(plate));
    this.close(); // of a call that came meanwhile
    this.opened?.cutout?.close();
    this.opened = { clip, plate, frame, still };
    this.strokes = undefined;
    this.easel.reset(frame.width, frame.height);
    await this.key(this.opened);
  }

  /** Frees the memory of keying; strokes stay. */
  close(): void {
    this.opened?.still.close();
  }

  private isOf(clip: File, plate: File): boolean {
    return this.opened?.clip === clip && this.opened.plate === plate;
  }

  private async keyAgain(hint: ImageData | undefined): Promise<boolean> {
    this.strokes = hint;
    return this.opened ? this.key(this.opened) : false;
  }

  /** Tells whether the result is shown: not if another one was asked for meanwhile. */
  private async key(opened: Opened): Promise<boolean> {
    const keyed = await opened.still.key(this.strokes);
    if (!keyed) return false;
    opened.cutout?.close();
    opened.cutout = keyed.cutout;
    const { width, height } = opened.frame;
    this.easel.show({ width, height, before: opened.frame, after: keyed.cutout }, keyed.matte.cutout);
    return true;
  }
}

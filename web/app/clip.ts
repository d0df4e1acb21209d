/** The clip panel: a clip and its plate in, a clip with alpha out. */
import { button, context2d, element, resultName } from "./dom.js";
import { getKeyer } from "./engine.js";
import { FirstFrame } from "./first_frame.js";
import { Messages, say } from "./messages.js";
import { describeFit } from "./photo.js";
import { keyOnService, ServiceSwitch } from "./service.js";
import { fetchExample, Slot } from "./slot.js";

interface Wish {
  readonly clip: File;
  readonly plate: File;
  readonly hint: ImageData | undefined;
  readonly running: AbortController;
}

export class ClipPanel {
  private readonly messages = new Messages("clip-message");
  private readonly clip: Slot;
  private readonly plate: Slot;
  private readonly service = new ServiceSwitch(() => void this.update());
  private readonly first = new FirstFrame((error) => this.messages.fail(error));
  private running: AbortController | undefined;

  constructor() {
    const onChange = () => void this.update();
    this.clip = new Slot({
      id: "clip-file",
      title: "Clip",
      hint: "from a camera that stands still. Drop or choose",
      accept: "video/*",
      onChange,
    });
    this.plate = new Slot({
      id: "clip-plate-file",
      title: "Plate",
      hint: "a picture of the same view, empty. Drop or choose",
      accept: "image/*",
      onChange,
    });
    element("clip-slots", HTMLElement).append(this.clip.root, this.plate.root);
    button("clip-example").onclick = () => void this.useExample();
    button("clip-first").onclick = () => void this.useFirstFrame();
    button("clip-correct").onclick = () => void this.correct();
    button("clip-make").onclick = () => {
      void this.update();
      button("clip-cancel").focus(); // the button that had the focus is hidden
    };
    button("clip-cancel").onclick = () => this.running?.abort();
  }

  private async useExample(): Promise<void> {
    try {
      const [clip, plate] = await Promise.all([fetchExample("clip.mp4"), fetchExample("clip_plate.jpg")]);
      this.clip.take(clip, true);
      this.plate.take(plate);
    } catch (error) {
      this.messages.fail(error);
    }
  }

  private async useFirstFrame(): Promise<void> {
    const clip = this.clip.file;
    if (!clip) return;
    try {
      const { readFirstFrame } = await import("./clip_maker.js");
      const canvas = await readFirstFrame(clip);
      const picture = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
      this.plate.take(new File([picture!], "first frame.png", { type: "image/png" }));
    } catch (error) {
      this.messages.fail(error);
    }
  }

  private async update(): Promise<void> {
    this.running?.abort();
    this.messages.clear();
    const [clip, plate] = [this.clip.file, this.plate.file];
    button("clip-first").hidden = !clip || Boolean(plate);
    if (clip && plate) await this.make(clip, plate);
    else say(clip ? "Now the plate: a picture of the same view without your subject." : "");
  }

  /** Makes the clip, with the strokes on its first frame. */
  private async make(clip: File, plate: File): Promise<void> {
    const wish = { clip, plate, hint: this.first.hintFor(clip, plate), running: this.begin() };
    const { running } = wish;
    this.first.close();
    element("clip-slots", HTMLElement).classList.add("small");
    this.show("working");
    this.tell("Starting …", 0);
    try {
      const facts = await (this.service.isOn ? this.makeOnService(wish) : this.makeHere(wish));
      if (running !== this.running) return;
      const { strokeCount } = this.first;
      if (wish.hint) facts.push(`With ${strokeCount} ${strokeCount === 1 ? "stroke" : "strokes"} on the first frame.`);
      element("clip-facts", HTMLElement).textContent = facts.filter(Boolean).join(" ");
      say("The clip is done.");
    } catch (error) {
      // With strokes, a cancelled clip is back at its first frame.
      if (running === this.running && running.signal.aborted && wish.hint) await this.correct();
      else this.giveUp(running, error);
    }
  }

  /** Shows the first frame and its brushes, in place of what runs or is done. */
  private async correct(): Promise<void> {
    const [clip, plate] = [this.clip.file, this.plate.file];
    if (!clip || !plate) return;
    this.running?.abort();
    const running = this.begin();
    this.messages.clear();
    this.tell("Reading the first frame …", 0);
    say("Cutting out …");
    try {
      await this.first.open(clip, plate);
      if (running !== this.running) return;
      running.signal.throwIfAborted();
      this.show("correcting");
      button("frame-paint-add").focus();
      say("The first frame, and its cut-out right of the line. Choose a brush.");
    } catch (error) {
      this.giveUp(running, error);
    }
  }

  private giveUp(running: AbortController, error: unknown): void {
    if (running !== this.running) return;
    this.show("nothing");
    say(running.signal.aborted ? "Cancelled." : "");
    if (!running.signal.aborted) this.messages.fail(error);
  }

  /** Whatever ran before is outdated. */
  private begin(): AbortController {
    this.running = new AbortController();
    return this.running;
  }

  private tell(status: string, share: number): void {
    element("clip-status", HTMLElement).textContent = status;
    element("clip-bar", HTMLProgressElement).value = share;
  }

  /** Each gives facts on the clip that it offers. */
  private async makeOnService({ clip, plate, hint, running }: Wish): Promise<string[]> {
    const { blob, facts } = await keyOnService({
      clip,
      plate,
      hint,
      token: this.service.token,
      signal: running.signal,
      onProgress: (text, share) => {
        if (running === this.running) this.tell(text, share);
      },
    });
    if (running === this.running) this.offer(blob, "webm", clip.name);
    return [facts];
  }

  private async makeHere({ clip, plate, hint, running }: Wish): Promise<string[]> {
    const canvas = element("clip-canvas", HTMLCanvasElement);
    // Loaded late: the code for clips is large, and most visitors have photos.
    const [keyer, { makeClip }] = await Promise.all([getKeyer(), import("./clip_maker.js")]);
    const shot = await keyer.open(plate, { quality: "fine", follow: true, hint });
    const began = performance.now();
    let [frames, fit] = [0, ""];
    const made = await makeClip({
      clip,
      signal: running.signal,
      key: (frame) => shot.key(frame),
      onFrame: (share, { cutout, fit: fitted }) => {
        if (running !== this.running) return;
        if (canvas.width !== cutout.width) canvas.width = cutout.width;
        if (canvas.height !== cutout.height) canvas.height = cutout.height;
        context2d(canvas).putImageData(cutout, 0, 0);
        fit = describeFit(fitted);
        const seconds = (performance.now() - began) / 1000;
        const left = share > 0.02 ? `, ${formatSeconds((seconds / share) * (1 - share))} left` : "";
        this.tell(`${++frames} frames, ${(frames / seconds).toFixed(1)} per second${left}`, share);
      },
    }).finally(() => shot.close());
    const took = formatSeconds((performance.now() - began) / 1000);
    if (running === this.running) this.offer(made.blob, made.extension, clip.name);
    return [`${made.frames} frames in ${took}, ${(made.blob.size / 1e6).toFixed(1)} MB.`, fit, ...made.notes];
  }

  private offer(blob: Blob, extension: "webm" | "zip", name: string): void {
    const video = element("clip-video", HTMLVideoElement);
    const link = element("clip-download", HTMLAnchorElement);
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(blob);
    link.download = resultName(name, extension);
    link.textContent = extension === "webm" ? "Download WebM" : "Download the PNGs";
    this.show("done");
    if (extension === "zip") return;
    video.src = link.href;
    video.hidden = false;
    element("clip-canvas", HTMLCanvasElement).hidden = true;
    void video.play().catch(() => undefined); // a browser that wants to be asked first shows its controls
  }

  private show(what: "nothing" | "working" | "done" | "correcting"): void {
    const correcting = what === "correcting";
    element("clip-result", HTMLElement).hidden = what === "nothing";
    element("clip-view", HTMLElement).hidden = correcting;
    for (const id of ["frame-easel", "clip-correct-facts", "clip-make"]) {
      element(id, HTMLElement).hidden = !correcting;
    }
    button("clip-correct").hidden = correcting;
    element("clip-progress", HTMLElement).hidden = what !== "working";
    element("clip-done", HTMLElement).hidden = what !== "done";
    element("clip-canvas", HTMLCanvasElement).hidden = false;
    const video = element("clip-video", HTMLVideoElement);
    video.pause();
    video.hidden = true;
  }
}

function formatSeconds(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

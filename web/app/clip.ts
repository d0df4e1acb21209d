/** The clip panel: a clip and its plate in, a clip with alpha out. */
import { button, context2d, element, resultName } from "./dom.js";
import { getKeyer } from "./engine.js";
import { Messages, say } from "./messages.js";
import { describeFit } from "./photo.js";
import { keyOnService, ServiceSwitch } from "./service.js";
import { fetchExample, Slot } from "./slot.js";

export class ClipPanel {
  private readonly messages = new Messages("clip-message");
  private readonly clip: Slot;
  private readonly plate: Slot;
  private readonly service = new ServiceSwitch(() => void this.update());
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
      const video = document.createElement("video");
      video.muted = true;
      video.src = URL.createObjectURL(clip);
      await new Promise((resolve, reject) => {
        video.onloadeddata = resolve;
        video.onerror = () => reject(new Error(`'${clip.name}' cannot be played by this browser`));
      });
      const canvas = document.createElement("canvas");
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      context2d(canvas).drawImage(video, 0, 0);
      URL.revokeObjectURL(video.src);
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
    if (!clip || !plate) {
      say(clip ? "Now the plate: a picture of the same view without your subject." : "");
      return;
    }
    const running = new AbortController();
    this.running = running;
    element("clip-slots", HTMLElement).classList.add("small");
    this.show("working");
    const canvas = element("clip-canvas", HTMLCanvasElement);
    const bar = element("clip-bar", HTMLProgressElement);
    const status = element("clip-status", HTMLElement);
    bar.value = 0;
    status.textContent = "Starting …";
    try {
      if (this.service.isOn) {
        const { blob, facts } = await keyOnService({
          clip,
          plate,
          token: this.service.token,
          signal: running.signal,
          onProgress: (text, share) => {
            if (running !== this.running) return;
            status.textContent = text;
            bar.value = share;
          },
        });
        if (running !== this.running) return;
        this.offer(blob, "webm", clip.name);
        element("clip-facts", HTMLElement).textContent = facts;
        say("The clip is done.");
        return;
      }
      // Loaded late: the code for clips is large, and most visitors have photos.
      const [keyer, { makeClip }] = await Promise.all([getKeyer(), import("./clip_maker.js")]);
      const shot = await keyer.open(plate, { quality: "fine", follow: true });
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
          bar.value = share;
          const seconds = (performance.now() - began) / 1000;
          const left = share > 0.02 ? `, ${formatSeconds((seconds / share) * (1 - share))} left` : "";
          status.textContent = `${++frames} frames, ${(frames / seconds).toFixed(1)} per second${left}`;
        },
      }).finally(() => shot.close());
      if (running !== this.running) return;
      this.offer(made.blob, made.extension, clip.name);
      const took = formatSeconds((performance.now() - began) / 1000);
      const facts = [`${made.frames} frames in ${took}, ${(made.blob.size / 1e6).toFixed(1)} MB.`, fit, ...made.notes];
      element("clip-facts", HTMLElement).textContent = facts.filter(Boolean).join(" ");
      say("The clip is done.");
    } catch (error) {
      if (running !== this.running) return;
      this.show("nothing");
      if (running.signal.aborted) say("Cancelled.");
      else this.messages.fail(error);
    }
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

  private show(what: "nothing" | "working" | "done"): void {
    element("clip-result", HTMLElement).hidden = what === "nothing";
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

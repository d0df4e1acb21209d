/** The camera panel: countdown and plate, the live cut-out, recording. */
import { CleanplateError, type DrawnMatte, type Keyer, type Shot } from "../engine/index.js";
import { capturePlate } from "../engine/video/plate_capture.js";
import { BackdropPicker } from "./backdrops.js";
import { button, context2d, element } from "./dom.js";
import { getKeyer } from "./engine.js";
import { Messages, say } from "./messages.js";
import { Recorder } from "./recorder.js";

type State = "off" | "starting" | "ready" | "counting" | "live";

const COUNTDOWN_SECONDS = 5;

/** Number of frames that are averaged to the plate: the mean has a quarter of one frame's noise. */
const PLATE_FRAMES = 12;

/** Share of the picture that differs from the plate once the subject is back. */
const ARRIVED_SHARE = 0.02;

const HIDDEN_SHARE = 0.8;
const HIDDEN_FRAMES = 20;

export class CameraPanel {
  private readonly messages = new Messages("camera-message");
  private readonly stage = element("camera-stage", HTMLElement);
  private readonly video = element("camera-video", HTMLVideoElement);
  private readonly canvas = element("camera-canvas", HTMLCanvasElement);
  private readonly backdrops: BackdropPicker;
  private readonly recorder: Recorder;
  private state: State = "off";
  private stream: MediaStream | undefined;
  private shot: Shot | undefined;
  private plate: ImageData | undefined;
  private plateBitmap: ImageBitmap | undefined;

  /** Counts up whenever work in progress becomes obsolete. */
  private turn = 0;

  constructor() {
    this.backdrops = new BackdropPicker(
      element("camera-backdrops", HTMLFieldSetElement),
      () => undefined, // the next frame shows it
      (error) => this.messages.fail(error),
    );
    this.recorder = new Recorder(this.canvas, (error) => this.messages.fail(error));
    button("camera-start").onclick = () => void this.start();
    button("camera-plate").onclick = () => void this.takePlate();
    button("camera-record").onclick = () => void this.record();
    button("camera-stop").onclick = () => this.stop();
    this.setState("off");
  }

  /** Turns the camera off; the page does so when another panel is opened. */
  stop(): void {
    this.turn++;
    this.recorder.stop();
    this.endShot();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = undefined;
    this.video.srcObject = null;
    say("");
    this.setState("off");
  }

  private async start(): Promise<void> {
    const turn = ++this.turn;
    this.messages.clear();
    this.setState("starting");
    try {
      if (!navigator.mediaDevices?.getUserMedia) {
        this.messages.note("This page may not use a camera.", "Browsers allow it on https and localhost only.");
        this.setState("off");
        return;
      }
      const loading = getKeyer();
      loading.catch(() => undefined); // told where it is waited for
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30 }, facingMode: "user" },
      });
      if (turn !== this.turn) {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      this.stream = stream;
      const [track] = stream.getVideoTracks();
      track!.onended = () => {
        this.stop();
        this.messages.note("The camera was disconnected.", "Connect it and start it again.");
      };
      // Front cameras are mirrored, as people expect; rear cameras are not.
      this.stage.classList.toggle("mirrored", track!.getSettings().facingMode !== "environment");
      this.video.srcObject = stream;
      await this.video.play();
      await loading;
      if (turn !== this.turn) return;
      this.setState("ready");
      say("The camera is on. Take the plate when it stands still.");
    } catch (error) {
      if (turn !== this.turn) return;
      this.stop();
      this.messages.fail(error);
    }
  }

  private async takePlate(): Promise<void> {
    const turn = ++this.turn;
    this.messages.clear();
    this.recorder.stop();
    this.endShot();
    this.setState("counting");
    try {
      await this.countDown(turn);
      if (turn !== this.turn) return;
      say("Taking the plate …");
      const keyer = await getKeyer();
      this.plate = await capturePlate(keyer, this.video, { frames: PLATE_FRAMES });
      this.plateBitmap?.close();
      this.plateBitmap = await createImageBitmap(this.plate);
      const shot = await keyer.open(this.plate, { quality: "live", fit: false, follow: true });
      if (turn !== this.turn) return shot.close();
      this.shot = shot;
      this.setState("live");
      say("The plate is ready. Step back in.");
      await this.run(keyer, shot, turn);
    } catch (error) {
      if (turn !== this.turn) return;
      this.endShot();
      this.setState(this.stream ? "ready" : "off");
      this.messages.fail(error);
    }
  }

  private async countDown(turn: number): Promise<void> {
    const count = element("camera-count", HTMLElement);
    const seconds = Number(new URLSearchParams(location.search).get("countdown") ?? COUNTDOWN_SECONDS);
    count.hidden = false;
    say(`Step out of the picture: ${seconds} seconds.`);
    for (let left = seconds; left > 0 && turn === this.turn; left--) {
      count.textContent = String(left);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    count.hidden = true;
  }

  /** Keys frame after frame: while one is drawn, the engine keys the next. */
  private async run(keyer: Keyer, shot: Shot, turn: number): Promise<void> {
    const rate = new Rate();
    const { video, canvas } = this;
    const label = element("camera-rate", HTMLElement);
    let hidden = 0;
    let awaited = true;
    let next: Promise<DrawnMatte> | undefined;
    const live = () => turn === this.turn && this.stream !== undefined;
    while (live()) {
      if (video.videoWidth !== this.plate!.width || video.videoHeight !== this.plate!.height) {
        throw new CleanplateError("plate", "The camera was turned or changed its size.", "Take the plate again.");
      }
      const matte: DrawnMatte = await (next ?? shot.draw(video));
      await nextFrame(video);
      next = live() ? shot.draw(video) : undefined;
      next?.catch(() => undefined); // told where it is waited for
      if (live()) this.paint(canvas, matte);
      matte.bitmap.close();
      const perSecond = rate.tick();
      if (perSecond) {
        label.textContent = `${perSecond.toFixed(0)} per second · ${keyer.backend === "webgpu" ? "GPU" : "CPU"}`;
        label.dataset.rate = perSecond.toFixed(2);
      }
      if (awaited && matte.changed > ARRIVED_SHARE && live()) {
        awaited = false;
        say(""); // "Step back in" has been followed
      }
      hidden = matte.changed > HIDDEN_SHARE ? hidden + 1 : 0;
      if (hidden === HIDDEN_FRAMES) {
        this.messages.note("Nearly everything differs from the plate.", "Has the camera moved? Take the plate again.");
      } else if (hidden === 0 && rate.frames % HIDDEN_FRAMES === 0) {
        this.messages.clear();
      }
    }
  }

  private paint(canvas: HTMLCanvasElement, matte: DrawnMatte): void {
    if (canvas.width !== matte.width || canvas.height !== matte.height) {
      canvas.width = matte.width;
      canvas.height = matte.height;
    }
    const context = context2d(canvas);
    this.backdrops.paint(context, matte.width, matte.height, this.plateBitmap);
    context.drawImage(matte.bitmap, 0, 0);
    canvas.dataset.frames = String(Number(canvas.dataset.frames ?? 0) + 1);
  }

  private async record(): Promise<void> {
    const toggle = button("camera-record");
    const tag = element("camera-recording", HTMLElement);
    if (this.recorder.running) {
      this.recorder.stop();
      return;
    }
    toggle.textContent = "Stop recording";
    tag.hidden = false;
    element("camera-taken", HTMLElement).hidden = true;
    const recording = await this.recorder.record((seconds) => {
      tag.textContent = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds) % 60).padStart(2, "0")}`;
    });
    toggle.textContent = "Record";
    tag.hidden = true;
    if (!recording) return;
    const take = element("camera-take", HTMLVideoElement);
    URL.revokeObjectURL(take.src);
    take.src = URL.createObjectURL(recording);
    const link = element("camera-download", HTMLAnchorElement);
    link.href = take.src;
    link.download = `cleanplate.${recording.type.includes("mp4") ? "mp4" : "webm"}`;
    element("camera-taken", HTMLElement).hidden = false;
    say("The recording is below.");
  }

  private endShot(): void {
    this.shot?.close();
    this.shot = undefined;
  }

  private setState(state: State): void {
    this.state = state;
    this.stage.dataset.state = state;
    const on = state === "ready" || state === "counting" || state === "live";
    element("camera-overlay", HTMLElement).hidden = on;
    button("camera-start").disabled = state === "starting";
    button("camera-start").textContent = state === "starting" ? "Starting …" : "Start the camera";
    element("camera-controls", HTMLElement).hidden = !on;
    const plate = button("camera-plate");
    plate.disabled = state === "counting";
    plate.textContent = state === "live" ? "Take the plate again" : "Take the plate";
    plate.classList.toggle("primary", state !== "live");
    button("camera-record").hidden = state !== "live" || !Recorder.works;
    element("camera-rate", HTMLElement).hidden = state !== "live";
    element("camera-count", HTMLElement).hidden = this.state !== "counting";
  }
}

/** Waits for the video's next frame. */
function nextFrame(video: HTMLVideoElement): Promise<unknown> {
  return new Promise((resolve) => {
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}

/** Frames per second over the last second. */
class Rate {
  frames = 0;
  private since = performance.now();
  private counted = 0;

  /** Counts a frame; returns the rate once a second. */
  tick(): number | undefined {
    this.frames++;
    this.counted++;
    const passed = (performance.now() - this.since) / 1000;
    if (passed < 1) return undefined;
    const rate = this.counted / passed;
    this.counted = 0;
    this.since = performance.now();
    return rate;
  }
}

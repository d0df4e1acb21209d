/** Records a canvas in a format of the browser: VP9 in WebM, or MP4 where there is no WebM. */
const TYPES = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];
const FRAME_RATE = 30;
const BITS_PER_SECOND = 6_000_000;

export class Recorder {
  private current: MediaRecorder | undefined;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly onError: (error: unknown) => void,
  ) {}

  static get works(): boolean {
    return typeof MediaRecorder !== "undefined" && "captureStream" in HTMLCanvasElement.prototype;
  }

  get running(): boolean {
    return this.current !== undefined;
  }

  /** Records until {@link stop}; `onTick` receives the seconds. Gives undefined without any data. */
  async record(onTick: (seconds: number) => void): Promise<Blob | undefined> {
    const stream = this.canvas.captureStream(FRAME_RATE);
    const type = TYPES.find((one) => MediaRecorder.isTypeSupported(one));
    const began = performance.now();
    const clock = setInterval(() => onTick((performance.now() - began) / 1000), 250);
    onTick(0);
    try {
      const recorder = new MediaRecorder(stream, {
        ...(type && { mimeType: type }),
        videoBitsPerSecond: BITS_PER_SECOND,
      });
      this.current = recorder;
      const parts: Blob[] = [];
      recorder.ondataavailable = ({ data }) => data.size && parts.push(data);
      const ended = new Promise<void>((resolve, reject) => {
        recorder.onstop = () => resolve();
        recorder.onerror = (event) => reject((event as ErrorEvent).error ?? new Error("the recording failed"));
      });
      recorder.start(1000);
      await ended;
      return parts.length ? new Blob(parts, { type: recorder.mimeType }) : undefined;
    } catch (error) {
      this.onError(error);
      return undefined;
    } finally {
      this.current = undefined;
      clearInterval(clock);
      for (const track of stream.getTracks()) track.stop();
    }
  }

  stop(): void {
    if (this.current?.state === "recording") this.current.stop();
  }
}

/** Frames of a video element, keyed in the worker, onto a canvas whose stream is the result: for browsers without streams of tracks. */
import type { Path } from "./path.js";
import type { VideoSession } from "./session.js";

/** Interval of polling for a new frame, in browsers that do not announce them. */
const POLL_MILLISECONDS = 15;

export class CanvasPath implements Path {
  readonly track: MediaStreamTrack;
  readonly ended: Promise<void>;
  private running = true;

  private constructor(
    private readonly session: VideoSession,
    private readonly source: MediaStreamTrack,
    private readonly video: HTMLVideoElement,
    private readonly canvas: HTMLCanvasElement,
  ) {
    this.track = canvas.captureStream().getVideoTracks()[0]!;
    this.ended = this.run();
  }

  static async open(session: VideoSession, source: MediaStreamTrack): Promise<CanvasPath> {
    const video = await play(source);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("bitmaprenderer"); // a stream needs the context first
    return new CanvasPath(session, source, video, canvas);
  }

  stop(): void {
    this.running = false;
    this.track.stop();
    this.video.srcObject = null;
  }

  private async run(): Promise<void> {
    const { session, source, video, canvas } = this;
    const context = canvas.getContext("bitmaprenderer")!;
    while (this.running && source.readyState === "live") {
      const bitmap = await session.draw(video);
      if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
        [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
      }
      context.transferFromImageBitmap(bitmap);
      await nextFrame(video);
    }
  }
}

/** A video element, outside of the page, that plays the track. */
export async function play(source: MediaStreamTrack): Promise<HTMLVideoElement> {
  const video = document.createElement("video");
  [video.muted, video.playsInline] = [true, true];
  video.srcObject = new MediaStream([source]);
  await video.play();
  return video;
}

/** Waits for the video's next frame; not longer than a second, as the track may have ended. */
export function nextFrame(video: HTMLVideoElement): Promise<void> {
  return new Promise((resolve) => {
    const patience = setTimeout(resolve, 1000);
    const done = () => {
      clearTimeout(patience);
      resolve();
    };
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(done);
    else setTimeout(done, POLL_MILLISECONDS);
  });
}

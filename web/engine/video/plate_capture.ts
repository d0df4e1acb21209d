/** The plate from a camera that shows the empty set. */
import type { Keyer } from "../index.js";
import { nextFrame, play } from "./canvas_path.js";

export interface CaptureSettings {
  /** Frames of which the plate is the mean (default: 12, a quarter of the noise of one). */
  readonly frames?: number;
  /** Seconds until the first of them, to leave the picture (default: 0). */
  readonly delay?: number;
  /** Called with the seconds left, once a second. */
  readonly onCountdown?: (seconds: number) => void;
}

/** Takes the plate from a track or a playing video; nobody may be in the picture. */
export async function capturePlate(
  keyer: Keyer,
  source: MediaStreamTrack | HTMLVideoElement,
  { frames = 12, delay = 0, onCountdown }: CaptureSettings = {},
): Promise<ImageData> {
  const own = source instanceof MediaStreamTrack;
  const video = own ? await play(source) : source;
  try {
    for (let left = delay; left > 0; left--) {
      onCountdown?.(left);
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(1, left)));
    }
    return await keyer.averageFrames(frames, async () => {
      await nextFrame(video);
      return video;
    });
  } finally {
    if (own) video.srcObject = null;
  }
}

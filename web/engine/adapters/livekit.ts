/** Contract of LiveKit's `TrackProcessor`: `import { LiveKitProcessor } from "@cleanplate/keyer/livekit"`. */
import type { TrackProcessor as Contract, Track, VideoProcessorOptions } from "livekit-client";
import type { Keyer, Source } from "../index.js";
import type { Backdrop, VideoState } from "../video/session.js";
import { createTrackProcessor, type TrackProcessor, type TrackSettings } from "../video/track_processor.js";

/**
 * Processor for `LocalVideoTrack.setProcessor`.
 *
 * LiveKit restarts it with a new track when the camera changes or is unmuted, and destroys it with the track. The keyer
 * is the caller's and stays open.
 */
export class LiveKitProcessor implements Contract<Track.Kind.Video, VideoProcessorOptions> {
  readonly name = "cleanplate";
  processedTrack?: MediaStreamTrack;
  private processor: TrackProcessor | undefined;

  constructor(
    private readonly keyer: Keyer,
    private settings: TrackSettings = {},
  ) {}

  /** Figures of the last second. */
  get state(): VideoState | undefined {
    return this.processor?.state;
  }

  async init({ track }: VideoProcessorOptions): Promise<void> {
    const former = this.processor;
    this.processor = await createTrackProcessor(this.keyer, track, this.settings);
    this.processedTrack = this.processor.track;
    former?.stop();
  }

  async restart(options: VideoProcessorOptions): Promise<void> {
    await this.init(options);
  }

  async destroy(): Promise<void> {
    this.processor?.stop();
    this.processor = undefined;
    delete this.processedTrack;
  }

  async setBackdrop(backdrop: Backdrop): Promise<void> {
    this.settings = { ...this.settings, backdrop };
    await this.processor?.setBackdrop(backdrop);
  }

  async setPlate(plate: Source): Promise<void> {
    this.settings = { ...this.settings, plate };
    await this.processor?.setPlate(plate);
  }
}

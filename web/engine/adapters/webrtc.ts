/** Senders of a plain `RTCPeerConnection`: `import { processSender } from "@cleanplate/keyer/webrtc"`. */
import type { Keyer } from "../index.js";
import { createTrackProcessor, type TrackProcessor, type TrackSettings } from "../video/track_processor.js";

export interface SenderProcessor extends Omit<TrackProcessor, "stop"> {
  /** Sends the camera's own track again; with a track, that one (`null`: nothing). The processor has ended then. */
  stop(instead?: MediaStreamTrack | null): Promise<void>;
}

/**
 * Replaces the track that a sender sends by the processed one, without a new negotiation.
 *
 * To send no unprocessed frame at all, add the transceiver without a track, and pass the camera's as `source`.
 *
 * @param source Default: the sender's present track.
 */
export async function processSender(
  sender: RTCRtpSender,
  keyer: Keyer,
  settings: TrackSettings = {},
  source: MediaStreamTrack | null = sender.track,
): Promise<SenderProcessor> {
  if (source?.kind !== "video") throw new TypeError("The sender has no track of video: pass the camera's as source.");
  const processor = await createTrackProcessor(keyer, source, settings);
  try {
    await sender.replaceTrack(processor.track);
  } catch (error) {
    processor.stop();
    throw error;
  }
  return {
    track: processor.track,
    path: processor.path,
    get state() {
      return processor.state;
    },
    setBackdrop: processor.setBackdrop,
    setPlate: processor.setPlate,
    async stop(instead = source) {
      await sender.replaceTrack(instead);
      processor.stop();
    },
  };
}

/** A track of video in, the same with the subject over a backdrop out. */
import type { Keyer, Source } from "../index.js";
import { CanvasPath } from "./canvas_path.js";
import type { Path } from "./path.js";
import type { Backdrop, VideoSession, VideoSettings, VideoState } from "./session.js";
import { canStream, StreamPath } from "./stream_path.js";

export interface TrackSettings extends VideoSettings {
  /** Default: the keyer's plate. */
  readonly plate?: Source;
  /**
   * `stream`: all in the worker (MediaStreamTrackProcessor, in Chromium); `canvas`: frames of a video element onto a
   * canvas, in every browser, only while the page is visible. Default: the first where there is one.
   */
  readonly path?: "stream" | "canvas";
  /** Called when a frame cannot be keyed (a camera that was turned); the processed track then ends. */
  readonly onError?: (error: unknown) => void;
}

export interface TrackProcessor {
  /** The processed track. */
  readonly track: MediaStreamTrack;
  readonly path: "stream" | "canvas";
  /** Figures of the last second; none before. */
  readonly state: VideoState | undefined;
  setBackdrop(backdrop: Backdrop): Promise<void>;
  setPlate(plate: Source): Promise<void>;
  /** Ends the processed track. The source track goes on: it is the caller's. */
  stop(): void;
}

/**
 * Processes a track of video. No frame leaves it unkeyed.
 *
 * @throws {CleanplateError} `plate`: neither the settings nor the keyer has one.
 */
export async function createTrackProcessor(
  keyer: Keyer,
  source: MediaStreamTrack,
  settings: TrackSettings = {},
): Promise<TrackProcessor> {
  let state: VideoState | undefined;
  const onState = (latest: VideoState) => {
    state = latest;
    settings.onState?.(latest);
  };
  const session: VideoSession = await keyer.openVideo({ ...settings, onState }, settings.plate);
  const chosen = settings.path ?? (canStream() ? "stream" : "canvas");
  const path = await openPath(chosen, session, source).catch((error) => {
    session.close();
    throw error;
  });
  let stopped = false;
  const stop = () => {
    stopped = true;
    path.stop();
    session.close();
  };
  path.ended.then(stop, (error) => {
    if (!stopped) settings.onError?.(error);
    stop();
  });
  return {
    track: path.track,
    path: chosen,
    get state() {
      return state;
    },
    setBackdrop: (backdrop) => session.setBackdrop(backdrop),
    setPlate: (plate) => session.setPlate(plate),
    stop,
  };
}

async function openPath(chosen: "stream" | "canvas", session: VideoSession, source: MediaStreamTrack): Promise<Path> {
  return chosen === "stream" ? new StreamPath(session, source) : CanvasPath.open(session, source);
}

/** Tracks of cameras and calls: `import { createTrackProcessor } from "@cleanplate/keyer/video"`. */
export { type CaptureSettings, capturePlate } from "./plate_capture.js";
export type { Backdrop, VideoState } from "./session.js";
export { createTrackProcessor, type TrackProcessor, type TrackSettings } from "./track_processor.js";

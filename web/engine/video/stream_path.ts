/** Frames from track to track in the worker alone: `MediaStreamTrackProcessor` and `MediaStreamTrackGenerator`, in Chromium. */
import type { Path } from "./path.js";
import type { VideoSession } from "./session.js";

/** Chromium's, in windows; the types of TypeScript have neither there. */
interface Insertable {
  readonly MediaStreamTrackProcessor?: new (init: {
    track: MediaStreamTrack;
    maxBufferSize?: number;
  }) => { readonly readable: ReadableStream<VideoFrame> };
  readonly MediaStreamTrackGenerator?: new (init: {
    kind: "video";
  }) => MediaStreamTrack & { readonly writable: WritableStream<VideoFrame> };
}

export function canStream(): boolean {
  const { MediaStreamTrackProcessor, MediaStreamTrackGenerator } = globalThis as Insertable;
  return Boolean(MediaStreamTrackProcessor && MediaStreamTrackGenerator);
}

export class StreamPath implements Path {
  readonly track: MediaStreamTrack;
  readonly ended: Promise<void>;

  constructor(session: VideoSession, source: MediaStreamTrack) {
    const { MediaStreamTrackProcessor, MediaStreamTrackGenerator } = globalThis as Insertable;
    // Of the frames that arrive during one, the newest is kept.
    const { readable } = new MediaStreamTrackProcessor!({ track: source, maxBufferSize: 1 });
    const generator = new MediaStreamTrackGenerator!({ kind: "video" });
    this.track = generator;
    this.ended = session.stream(readable, generator.writable);
  }

  stop(): void {
    this.track.stop();
  }
}

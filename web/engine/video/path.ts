/** A way of frames from a track to another one. */
export interface Path {
  readonly track: MediaStreamTrack;
  /** Resolves when the source has ended; rejected when a frame cannot be keyed. */
  readonly ended: Promise<void>;
  stop(): void;
}

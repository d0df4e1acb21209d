/** Handles the worker's orders for videos: sessions that key the frames of tracks, and means of frames for plates. */
import { CleanplateError } from "../errors.js";
import type { Networks } from "../networks.js";
import type { Picture } from "../picture.js";
import { readFrame, receive, show } from "../pixels.js";
import type { Sent } from "../protocol.js";
import type { Backdrop } from "./backdrop.js";
import { type VideoOptions, VideoShot, type VideoState } from "./video_shot.js";

export type VideoOrder =
  | { kind: "video open"; video: number; plate: Sent; options: VideoOptions; backdrop: Backdrop }
  | { kind: "video frame"; video: number; frame: Sent }
  | { kind: "video backdrop"; video: number; backdrop: Backdrop }
  | { kind: "video plate"; video: number; plate: Sent }
  | { kind: "video close"; video: number }
  | { kind: "plate add"; plate: number; frame: Sent }
  | { kind: "plate mean"; plate: number };

/** Answered when the stream has ended; other orders are executed meanwhile, between two frames. */
export interface StreamOrder {
  readonly kind: "video stream";
  readonly video: number;
  readonly readable: ReadableStream<VideoFrame>;
  readonly writable: WritableStream<VideoFrame>;
}

/** Pixels, with their size; or a picture to be drawn. */
export type Drawn = ImageBitmap | { pixels: Uint8ClampedArray<ArrayBuffer>; width: number; height: number };

interface Session {
  readonly shot: VideoShot;
  /** Ends its stream. */
  stop?: () => void;
}

interface Sum {
  readonly width: number;
  readonly height: number;
  readonly values: Float32Array;
  frames: number;
}

export class VideoHandler {
  private readonly sessions = new Map<number, Session>();
  private readonly sums = new Map<number, Sum>();

  /** @param enqueue Executes a task after those before it. */
  constructor(
    private readonly networks: () => Networks,
    private readonly enqueue: <T>(task: () => Promise<T>) => Promise<T>,
    private readonly report: (video: number, state: VideoState) => void,
  ) {}

  async handle(order: VideoOrder): Promise<Drawn | undefined> {
    switch (order.kind) {
      case "video open": {
        const { video, options, backdrop } = order;
        const report = (state: VideoState) => this.report(video, state);
        const shot = new VideoShot(this.networks(), receive(order.plate), options, backdrop, report);
        this.sessions.set(video, { shot });
        return undefined;
      }
      case "video frame": {
        const began = performance.now();
        const { frame } = order;
        const { shot } = this.find(order.video, frame);
        return show(await shot.render("displayWidth" in frame ? await readAndClose(frame) : receive(frame), began));
      }
      case "video backdrop":
        this.find(order.video).shot.setBackdrop(order.backdrop);
        return undefined;
      case "video plate":
        this.find(order.video, order.plate).shot.setPlate(receive(order.plate));
        return undefined;
      case "video close":
        this.sessions.get(order.video)?.stop?.();
        this.sessions.delete(order.video);
        return undefined;
      case "plate add":
        this.add(order.plate, receive(order.frame));
        return undefined;
      case "plate mean":
        return this.finishMean(order.plate);
    }
  }

  /** Keys frames until the stream ends or the session is closed. A frame that cannot be keyed ends it: none leaves unkeyed. */
  async stream({ video, readable, writable }: StreamOrder): Promise<void> {
    const session = this.find(video);
    const reader = readable.getReader();
    const writer = writable.getWriter();
    session.stop = () => void reader.cancel().catch(() => undefined);
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        const frame = next.value;
        const keyed = await this.enqueue(() => this.renderFrame(session.shot, frame));
        const taken = await writer.write(keyed).then(
          () => true,
          () => false,
        );
        keyed.close(); // if it was taken, the track has a copy
        if (!taken) break; // the track was stopped
      }
    } finally {
      session.stop();
      await writer.close().catch(() => undefined); // ended by its reader
    }
  }

  private async renderFrame(shot: VideoShot, frame: VideoFrame): Promise<VideoFrame> {
    const began = performance.now();
    const { timestamp, duration } = frame;
    const { data, width, height } = await shot.render(await readAndClose(frame), began);
    return new VideoFrame(data, {
      format: shot.transparent ? "RGBA" : "RGBX",
      codedWidth: width,
      codedHeight: height,
      timestamp,
      ...(duration !== null && { duration }),
    });
  }

  private find(video: number, unused?: Sent): Session {
    const session = this.sessions.get(video);
    if (session) return session;
    if (unused && "close" in unused) unused.close();
    throw new CleanplateError("closed", "The video was closed.");
  }

  private add(plate: number, { width, height, data }: Picture): void {
    let sum = this.sums.get(plate);
    if (!sum) {
      sum = { width, height, values: new Float32Array(data.length), frames: 0 };
      this.sums.set(plate, sum);
    }
    if (sum.width !== width || sum.height !== height) {
      this.sums.delete(plate);
      throw new CleanplateError("plate", "The camera was turned or changed its size.", "Take the plate again.");
    }
    const { values } = sum;
    for (let i = 0; i < values.length; i++) values[i] = values[i]! + data[i]!;
    sum.frames++;
  }

  private finishMean(plate: number): Drawn {
    const { width, height, values, frames } = this.sums.get(plate)!;
    this.sums.delete(plate);
    const pixels = new Uint8ClampedArray(values.length);
    for (let i = 0; i < values.length; i++) pixels[i] = values[i]! / frames;
    return { pixels, width, height };
  }
}

/** The camera has few frames: each is given back before it is keyed. */
async function readAndClose(frame: VideoFrame): Promise<Picture> {
  try {
    return await readFrame(frame);
  } finally {
    frame.close();
  }
}

/** A clip with alpha out of a clip and its plate: VP9 in WebM where the browser encodes video, PNGs in a ZIP elsewhere. */
import {
  ALL_FORMATS,
  BlobSource,
  BufferTarget,
  CanvasSink,
  Conversion,
  EncodedPacketSink,
  Input,
  type InputVideoTrack,
  Output,
  QUALITY_HIGH,
  VideoSample,
  WebMOutputFormat,
} from "mediabunny";
import { CleanplateError, type Matte } from "../engine/index.js";
import { context2d } from "./dom.js";
import { encodePng } from "./png.js";
import { Zip } from "./zip.js";

export interface ClipWish {
  readonly clip: File;
  readonly key: (frame: VideoFrame | HTMLVideoElement) => Promise<Matte>;
  /** Done share, from 0 to 1, and the last frame. */
  readonly onFrame: (share: number, matte: Matte) => void;
  readonly signal: AbortSignal;
}

export interface MadeClip {
  readonly blob: Blob;
  readonly extension: "webm" | "zip";
  readonly frames: number;
  readonly notes: readonly string[];
}

/** Thrown when the user cancels. */
export class Cancelled extends Error {}

export async function makeClip(wish: ClipWish): Promise<MadeClip> {
  const { input, track } = await openClip(wish.clip);
  try {
    const encodes = typeof VideoEncoder !== "undefined" && (await canEncode(track));
    const decodes = typeof VideoDecoder !== "undefined" && (await track.canDecode());
    return encodes && decodes ? await makeWebm(wish, input) : await makeZip(wish, track);
  } finally {
    input.dispose();
  }
}

/** The first frame as {@link makeClip} keys it: upright, with square pixels. */
export async function readFirstFrame(clip: File): Promise<HTMLCanvasElement> {
  const { input, track } = await openClip(clip);
  const canvas = document.createElement("canvas");
  const draw = (picture: CanvasImageSource, width: number, height: number) => {
    [canvas.width, canvas.height] = [width, height];
    context2d(canvas).drawImage(picture, 0, 0, width, height);
    return canvas;
  };
  try {
    if (typeof VideoDecoder !== "undefined" && (await track.canDecode())) {
      for await (const { canvas: frame } of new CanvasSink(track).canvases(0))
        return draw(frame, frame.width, frame.height);
    }
  } finally {
    input.dispose();
  }
  const video = openVideo(clip);
  try {
    await once(video, "loadeddata", clip);
    return draw(video, video.videoWidth, video.videoHeight);
  } finally {
    URL.revokeObjectURL(video.src);
  }
}

async function openClip(clip: File): Promise<{ input: Input; track: InputVideoTrack }> {
  const input = new Input({ source: new BlobSource(clip), formats: ALL_FORMATS });
  const track = await input.getPrimaryVideoTrack().catch(() => null);
  if (track) return { input, track };
  input.dispose();
  throw new CleanplateError(
    "input",
    `'${clip.name}' is not a video that can be read here.`,
    "Use MP4, MOV or WebM, with H.264, VP8, VP9 or AV1.",
  );
}

async function canEncode(track: InputVideoTrack): Promise<boolean> {
  const config = {
    codec: "vp09.00.41.08",
    width: await track.getDisplayWidth(),
    height: await track.getDisplayHeight(),
  };
  const { supported } = await VideoEncoder.isConfigSupported(config).catch(() => ({ supported: false }));
  return supported === true;
}

/** Decodes, keys and encodes; VP9 keeps alpha as a second stream beside the first (WebM's BlockAdditions). */
async function makeWebm({ clip, key, onFrame, signal }: ClipWish, input: Input): Promise<MadeClip> {
  const target = new BufferTarget();
  const output = new Output({ format: new WebMOutputFormat(), target });
  const notes: string[] = [];
  let [frames, share] = [0, 0];
  const conversion = await Conversion.init({
    input,
    output,
    showWarnings: false,
    video: {
      codec: "vp9",
      alpha: "keep",
      quality: QUALITY_HIGH,
      forceTranscode: true,
      allowTransformationMetadata: false,
      process: async (sample) => {
        const frame = sample.toVideoFrame();
        const matte = await key(frame).finally(() => frame.close());
        onFrame(share, matte);
        frames++;
        const { cutout } = matte;
        return new VideoSample(cutout.data as Uint8ClampedArray<ArrayBuffer>, {
          format: "RGBA",
          codedWidth: cutout.width,
          codedHeight: cutout.height,
          timestamp: sample.timestamp,
          duration: sample.duration,
        });
      },
    },
    audio: { codec: "opus" },
  });
  if (conversion.discardedTracks.some(({ track }) => track.type === "audio")) {
    notes.push("The sound could not be carried over by this browser.");
  }
  if (!conversion.isValid) throw new Error(`'${clip.name}' cannot be converted by this browser`);
  conversion.onProgress = (progress) => {
    share = progress;
  };
  const cancel = () => void conversion.cancel();
  signal.addEventListener("abort", cancel);
  try {
    signal.throwIfAborted();
    await conversion.execute();
  } catch (error) {
    throw signal.aborted ? new Cancelled() : error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
  return { blob: new Blob([target.buffer!], { type: "video/webm" }), extension: "webm", frames, notes };
}

/** Plays the clip frame by frame in a video element, for browsers without WebCodecs. */
async function makeZip({ clip, key, onFrame, signal }: ClipWish, track: InputVideoTrack): Promise<MadeClip> {
  const times: number[] = [];
  for await (const packet of new EncodedPacketSink(track).packets(undefined, undefined, { metadataOnly: true })) {
    if (packet.timestamp >= 0) times.push(packet.timestamp);
  }
  times.sort((a, b) => a - b);
  const video = openVideo(clip);
  const zip = new Zip();
  try {
    await once(video, "loadeddata", clip);
    for (const [i, time] of times.entries()) {
      if (signal.aborted) throw new Cancelled();
      // The middle of the frame: at its edge, rounding could select its neighbour.
      const end = times[i + 1] ?? time + 0.02;
      video.currentTime = (time + end) / 2;
      await once(video, "seeked", clip);
      const matte = await key(video);
      await zip.add(`frame_${String(i).padStart(5, "0")}.png`, await encodePng(matte.cutout));
      onFrame((i + 1) / times.length, matte);
    }
  } finally {
    URL.revokeObjectURL(video.src);
  }
  const notes = ["This browser cannot encode video: the frames are numbered PNGs, without sound."];
  return { blob: zip.finish(), extension: "zip", frames: times.length, notes };
}

/** A video element outside of the page; the caller revokes its address. */
function openVideo(clip: File): HTMLVideoElement {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.src = URL.createObjectURL(clip);
  return video;
}

function once(video: HTMLVideoElement, event: "loadeddata" | "seeked", clip: File): Promise<void> {
  return new Promise((resolve, reject) => {
    video.addEventListener(event, () => resolve(), { once: true });
    video.onerror = () =>
      reject(
        new CleanplateError("input", `'${clip.name}' is not a video that this browser can play.`, "Use MP4 or WebM."),
      );
  });
}

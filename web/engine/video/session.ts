/** The page's side of a video: its plate, backdrop and frames, which the worker keys. */
import { type Conversation, type Source, send } from "../conversation.js";
import type { Backdrop as SentBackdrop } from "./backdrop.js";
import type { VideoState } from "./video_shot.js";

export type { VideoState };

/** Picture behind the subject. */
export type Backdrop =
  /** Transparency, for players in the same page: calls transmit no alpha. */
  | { readonly kind: "none" }
  /** A colour of CSS. */
  | { readonly kind: "colour"; readonly colour: string }
  /** Covers the frame; what is too wide or too high is cut off. */
  | { readonly kind: "picture"; readonly picture: Source }
  /** The plate, blurred. */
  | { readonly kind: "blur" };

export interface VideoSettings {
  /** Default: the blurred plate. */
  readonly backdrop?: Backdrop;
  /** Frames per second for which the quality is adapted (default: 24). */
  readonly frameRate?: number;
  /** Whether the plate is registered and exposure-matched to the first frame (default: false, for plates of the same camera). */
  readonly fit?: boolean;
  /** Whether slow changes of the light are followed (default: true). */
  readonly follow?: boolean;
  /** Called once a second. */
  readonly onState?: (state: VideoState) => void;
}

export class VideoSession {
  private static last = 0;
  private readonly video = ++VideoSession.last;

  private constructor(private readonly talk: Conversation) {}

  static async open(talk: Conversation, plate: Source, settings: VideoSettings): Promise<VideoSession> {
    const session = new VideoSession(talk);
    const { frameRate = 24, fit = false, follow = true, onState } = settings;
    const options = { frameRate, fit, follow };
    const [picture, [backdrop, transfer]] = await Promise.all([
      send(plate),
      sendBackdrop(settings.backdrop ?? { kind: "blur" }),
    ]);
    const { video } = session;
    if (onState) talk.listeners.set(video, onState);
    await talk.say({ kind: "video open", video, plate: picture.picture, options, backdrop }, [
      ...picture.transfer,
      ...transfer,
    ]);
    return session;
  }

  async setBackdrop(choice: Backdrop): Promise<void> {
    const [backdrop, transfer] = await sendBackdrop(choice);
    await this.talk.say({ kind: "video backdrop", video: this.video, backdrop }, transfer);
  }

  async setPlate(plate: Source): Promise<void> {
    const { picture, transfer } = await send(plate);
    await this.talk.say({ kind: "video plate", video: this.video, plate: picture }, transfer);
  }

  /** Keys one frame over the backdrop; the caller closes the bitmap. */
  async draw(frame: Source): Promise<ImageBitmap> {
    const { picture, transfer } = await send(frame);
    return this.talk.say<ImageBitmap>({ kind: "video frame", video: this.video, frame: picture }, transfer);
  }

  /** Keys the frames of a stream into another, in the worker alone; resolves when it has ended. */
  stream(readable: ReadableStream<VideoFrame>, writable: WritableStream<VideoFrame>): Promise<void> {
    const order = { kind: "video stream", video: this.video, readable, writable } as const;
    return this.talk.say(order, [readable, writable]);
  }

  close(): void {
    this.talk.listeners.delete(this.video);
    void this.talk.say({ kind: "video close", video: this.video }).catch(() => undefined);
  }
}

/** A copy of the picture: the caller's stays usable. */
async function sendBackdrop(backdrop: Backdrop): Promise<[SentBackdrop, Transferable[]]> {
  if (backdrop.kind !== "picture") return [backdrop, []];
  const { picture } = await send(backdrop.picture);
  if ("close" in picture && "colorSpace" in picture) {
    const bitmap = await createImageBitmap(picture);
    picture.close();
    return [{ kind: "picture", picture: bitmap }, [bitmap]];
  }
  const bitmap =
    "data" in picture
      ? await createImageBitmap(new ImageData(picture.data, picture.width, picture.height))
      : (picture as ImageBitmap);
  return [{ kind: "picture", picture: bitmap }, [bitmap]];
}

/** Pixels of the pictures that reach the worker, and pictures of its pixels. */
import { outOfMemory } from "./errors.js";
import type { Picture } from "./picture.js";
import type { Sent } from "./protocol.js";

let reading: OffscreenCanvas | undefined;
let showing: OffscreenCanvas | undefined;
let copied: Picture | undefined;

/** Reads the pixels of a sent picture; drawn ones go through a reused canvas. */
export function receive(sent: Sent): Picture {
  if ("data" in sent) return sent;
  const [width, height] = "displayWidth" in sent ? [sent.displayWidth, sent.displayHeight] : [sent.width, sent.height];
  try {
    return draw(sent, width, height);
  } finally {
    sent.close();
  }
}

/** Reads a frame of a video into a reused picture; the frame stays open. */
export async function readFrame(frame: VideoFrame): Promise<Picture> {
  const { displayWidth: width, displayHeight: height } = frame;
  if (frame.visibleRect?.width !== width || frame.visibleRect.height !== height) return draw(frame, width, height);
  if (copied?.width !== width || copied.height !== height) {
    copied = { width, height, data: new Uint8ClampedArray(4 * width * height) };
  }
  try {
    await frame.copyTo(copied.data, { format: "RGBA" });
    return copied;
  } catch {
    return draw(frame, width, height); // older browsers, frames of some decoders
  }
}

export function show(picture: Picture): ImageBitmap {
  const { width, height, data } = picture;
  if (showing?.width !== width || showing.height !== height) showing = new OffscreenCanvas(width, height);
  showing.getContext("2d")!.putImageData(new ImageData(data, width, height), 0, 0);
  return showing.transferToImageBitmap();
}

function draw(picture: CanvasImageSource, width: number, height: number): Picture {
  if (reading?.width !== width || reading.height !== height) reading = new OffscreenCanvas(width, height);
  const context = reading.getContext("2d", { willReadFrequently: true });
  if (!context) throw outOfMemory(width, height);
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

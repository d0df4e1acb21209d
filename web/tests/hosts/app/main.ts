/** Small program of a user of the package, the same for every bundler. */
import { CleanplateError, createKeyer, type Keyer, type Matte } from "@cleanplate/keyer";
import { LiveKitProcessor } from "@cleanplate/keyer/livekit";
import { createTrackProcessor } from "@cleanplate/keyer/video";
import { processSender } from "@cleanplate/keyer/webrtc";

const load = async (name: string): Promise<Blob> => (await fetch(name)).blob();

export async function run(): Promise<void> {
  const keyer: Keyer = await createKeyer({ plate: await load("plate.jpg"), backend: "wasm" });
  const { cutout, milliseconds }: Matte = await keyer.key(await load("photo.jpg"));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [cutout.width, cutout.height];
  canvas.style.width = "100%";
  canvas.getContext("2d")!.putImageData(cutout, 0, 0);
  document.body.append(canvas);
  const clear = cutout.data.reduce((count, value, i) => count + (i % 4 === 3 && value === 0 ? 1 : 0), 0);

  // A track: the photo, still, over the blurred plate.
  const source = canvas.captureStream().getVideoTracks()[0]!;
  const processor = await createTrackProcessor(keyer, source, { backdrop: { kind: "blur" } });
  const kinds = [processor.track.kind, typeof processSender, new LiveKitProcessor(keyer).name];
  processor.stop();
  keyer.close();
  const late = await keyer.key(await load("photo.jpg")).catch((error: unknown) => error);
  const { dataset } = document.documentElement;
  dataset.clear = String((4 * clear) / cutout.data.length);
  dataset.milliseconds = milliseconds.toFixed(0);
  dataset.threads = String(keyer.threads);
  dataset.kinds = kinds.join(" ");
  dataset.late = String(late instanceof CleanplateError && late.code);
}

run().catch((error) => {
  document.documentElement.dataset.error = String(error);
});

/** Tracks of a camera that plays the sample clip, processed by the package's modules. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type * as LiveKit from "livekit-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import type * as Rooms from "../../engine/adapters/livekit.js";
import type * as Calls from "../../engine/adapters/webrtc.js";
import type * as Engine from "../../engine/index.js";
import type * as Video from "../../engine/video/index.js";
import { fakeCamera, keepScreenshot, loadModules, type Visit, visit, WEB } from "./harness.js";

/** Long enough to open the camera and to take the plate on a busy machine. */
const PLATE_SECONDS = 6;

const folder = mkdtempSync(join(tmpdir(), "cleanplate-video-"));
let visitor: Visit;

beforeAll(async () => {
  const args = fakeCamera(folder, PLATE_SECONDS);
  visitor = await visit({ args, permissions: ["camera"], path: "engine/engine.json" });
  const bundle = resolve(WEB, "node_modules/livekit-client/dist/livekit-client.esm.mjs");
  await visitor.page.route("**/livekit.mjs", (route) =>
    route.fulfill({ path: bundle, contentType: "text/javascript" }),
  );
  await loadModules(visitor.page, {
    cleanplate: "/engine/index.js",
    tools: "/engine/video/index.js",
    calls: "/engine/adapters/webrtc.js",
    rooms: "/engine/adapters/livekit.js",
    livekit: "/livekit.mjs",
  });
  await visitor.page.addScriptTag({ content: `window.shares = ${measureShares}` });
  await visitor.page.evaluate(async () => {
    const keyer = await cleanplate.createKeyer({ backend: "wasm" });
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 } });
    const source = stream.getVideoTracks()[0]!;
    const plate = await tools.capturePlate(keyer, source, { frames: 6 });
    document.body.innerHTML = '<video autoplay muted playsinline width="640" height="360"></video>';
    const longTasks: number[] = [];
    new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((task) => task.duration))).observe({
      type: "longtask",
    });
    Object.assign(window, { keyer, source, plate, longTasks });
  });
});

afterAll(async () => {
  await visitor?.close();
  rmSync(folder, { recursive: true });
});

for (const path of ["stream", "canvas"] as const) {
  it(`lays the subject over a colour, the blurred plate and a picture (${path})`, async () => {
    const { page } = visitor;
    await page.evaluate(async (path) => {
      longTasks.length = 0;
      Object.assign(window, { began: performance.now() });
      const backdrop = { kind: "colour", colour: "#00b140" } as const;
      const processor = await tools.createTrackProcessor(keyer, source, { plate, backdrop, path });
      Object.assign(window, { processor });
      document.querySelector("video")!.srcObject = new MediaStream([processor.track]);
    }, path);
    // Green everywhere but for the subject, which comes after the empty set.
    await page.waitForFunction(() => shares().green > 0.3 && shares().green < 0.9);
    await keepScreenshot(page, `track-${path}-colour`);
    await page.evaluate(() => processor.setBackdrop({ kind: "blur" }));
    await page.waitForFunction(() => shares().green < 0.01);
    await keepScreenshot(page, `track-${path}-blur`);
    await page.evaluate(async () => {
      const picture = new OffscreenCanvas(64, 36);
      const context = picture.getContext("2d")!;
      context.fillStyle = "#3d6fb6";
      context.fillRect(0, 0, 64, 36);
      await processor.setBackdrop({ kind: "picture", picture });
    });
    await page.waitForFunction(() => shares().blue > 0.3 && shares().blue < 0.999);
    await page.waitForFunction(() => processor.state !== undefined);
    const { state, settings, ended, tasks, busy } = await page.evaluate(() => {
      const { state } = processor;
      const settings = processor.track.getSettings();
      processor.stop();
      const busy = longTasks.reduce((sum, task) => sum + task, 0) / (performance.now() - began);
      return { state, settings, ended: [processor.track.readyState, source.readyState], tasks: longTasks, busy };
    });
    expect([settings.width, settings.height]).toEqual([640, 360]);
    expect(state!.rate).toBeGreaterThan(0);
    expect(ended).toEqual(["ended", "live"]);
    // Of 50 ms and more there are none on an idle machine; on a busy one, the page's thread waits for the processor.
    // A keyer in the page's thread would take nearly all of its time.
    expect(busy).toBeLessThan(0.7);
    console.log(`${path}: ${state!.rate.toFixed(1)} a second at level ${state!.level}; long tasks: ${tasks}`);
  });
}

it("sends the processed track to another peer, and the camera's own after it", async () => {
  const { page } = visitor;
  await page.evaluate(async () => {
    const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()];
    here.onicecandidate = ({ candidate }) => void there.addIceCandidate(candidate ?? undefined);
    there.onicecandidate = ({ candidate }) => void here.addIceCandidate(candidate ?? undefined);
    there.ontrack = ({ track }) => {
      document.querySelector("video")!.srcObject = new MediaStream([track]);
    };
    const { sender } = here.addTransceiver("video", { direction: "sendonly" });
    const settings: Video.TrackSettings = { plate, backdrop: { kind: "colour", colour: "#00b140" } };
    const sending = await calls.processSender(sender, keyer, settings, source);
    await here.setLocalDescription();
    await there.setRemoteDescription(here.localDescription!);
    await there.setLocalDescription();
    await here.setRemoteDescription(there.localDescription!);
    Object.assign(window, { sending, sender, hangUp: () => [here, there].forEach((peer) => void peer.close()) });
  });
  await page.waitForFunction(() => shares().green > 0.3 && shares().green < 0.98);
  await keepScreenshot(page, "call-colour");
  const sent = await page.evaluate(async () => {
    await sending.stop();
    return sender.track === source && sending.track.readyState;
  });
  expect(sent).toBe("ended");
  await page.waitForFunction(() => shares().green < 0.01);
  await page.evaluate(() => hangUp());
});

it("is a processor of LiveKit's tracks: set, restarted with another camera, stopped", async () => {
  const { page } = visitor;
  await page.evaluate(async () => {
    const camera = new livekit.LocalVideoTrack(source.clone(), { width: 640, height: 360 }, true);
    const video = document.querySelector("video")!;
    camera.attach(video);
    const adapter = new rooms.LiveKitProcessor(keyer, { plate, backdrop: { kind: "colour", colour: "#00b140" } });
    await camera.setProcessor(adapter);
    Object.assign(window, { camera, adapter });
  });
  await page.waitForFunction(() => shares().green > 0.3);
  const life = await page.evaluate(async () => {
    const first = adapter.processedTrack!;
    const shown = camera.mediaStreamTrack === first;
    await camera.restartTrack({ resolution: { width: 640, height: 360 } });
    const second = adapter.processedTrack!;
    return {
      shown,
      replaced: second !== first,
      sent: camera.mediaStreamTrack === second,
      states: [first.readyState, second.readyState],
    };
  });
  expect(life).toEqual({ shown: true, replaced: true, sent: true, states: ["ended", "live"] });
  await page.waitForFunction(() => shares().green > 0.3);
  const after = await page.evaluate(async () => {
    const last = adapter.processedTrack!;
    await camera.stopProcessor();
    const states = [last.readyState, camera.mediaStreamTrack.readyState, String(adapter.processedTrack)];
    camera.stop();
    return states;
  });
  expect(after).toEqual(["ended", "live", "undefined"]);
});

it("ends the processed track, and says why, when the plate has another shape", async () => {
  const said = await visitor.page.evaluate(async () => {
    const wide = new ImageData(640, 200);
    const error = await new Promise<Engine.CleanplateError>((resolve) => {
      void tools.createTrackProcessor(keyer, source, { plate: wide, onError: (error) => resolve(error as never) });
    });
    return error.message;
  });
  expect(said).toBe("The plate is 640 x 200 and the picture 640 x 360: another shape.");
});

it("needs a plate", async () => {
  const said = await visitor.page.evaluate(() =>
    tools.createTrackProcessor(keyer, source).then(String, (error: Engine.CleanplateError) => error.hint),
  );
  expect(said).toBe("Pass one: createKeyer({ plate }).");
});

declare const cleanplate: typeof Engine;
declare const tools: typeof Video;
declare const keyer: Engine.Keyer;
declare const source: MediaStreamTrack;
declare const plate: ImageData;
declare const longTasks: number[];
declare const began: number;
declare const processor: Video.TrackProcessor;
declare const calls: typeof Calls;
declare const rooms: typeof Rooms;
declare const livekit: typeof LiveKit;
declare const sending: Calls.SenderProcessor;
declare const sender: RTCRtpSender;
declare const hangUp: () => void;
declare const camera: LiveKit.LocalVideoTrack;
declare const adapter: Rooms.LiveKitProcessor;
declare const shares: typeof measureShares;

/** Shares of the video's picture with the tests' two colours; runs in the page. */
function measureShares(): { green: number; blue: number } {
  const video = document.querySelector("video")!;
  const canvas = new OffscreenCanvas(160, 90);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(video, 0, 0, 160, 90);
  const { data } = context.getImageData(0, 0, 160, 90);
  const share = (red: number, green: number, blue: number) => {
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (Math.abs(data[i]! - red) + Math.abs(data[i + 1]! - green) + Math.abs(data[i + 2]! - blue) < 20) count++;
    }
    return (4 * count) / data.length;
  };
  return { green: share(0, 177, 64), blue: share(61, 111, 182) };
}

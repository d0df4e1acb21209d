"""A live session with a file in place of the webcam: rates, latency from end to end, load, growth.

    python benchmarks/live.py                          20 seconds of 1280x720 at 30, to a window
    python benchmarks/live.py --virtual                ... and to a stand-in for a virtual camera
    python benchmarks/live.py --seconds 600 --check    the soak of `make soak`: exit code 1 if something grew

The camera is a Motion JPEG clip of the made-up scene of `cleanplate bench`, looped. Each frame has its number
painted into it, as black and white bars that are keyed as the subject; it is read back from the pictures for
the window and the virtual camera, and compared with the time at which that frame was due. The keyer alone, on
the same machine at the same moment, is measured before and after. Without a screen SDL's dummy driver is
used.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

from cleanplate.cli.commands.bench import measure, parse_size
from cleanplate.cli.made_scene import build_scene
from cleanplate.live import session_setup as start
from cleanplate.live.controls import Board
from cleanplate.live.meters import Meter
from cleanplate.media.cameras.preview import Window
from cleanplate.vocabulary import KeyerOptions

SCENE_FRAMES = 30
LOOP = 240
BITS = 8
STRIP = (0.96, 0.25)
"""Top of the bars as a share of the height, and their length as a share of the width."""

WARM_UP_SECONDS = 5.0
SAMPLE_SECONDS = 5.0


def paint_number(picture: np.ndarray, number: int) -> None:
    """Paint the bits as bars, the lowest first, each with its inverse below as a check."""
    height, width = picture.shape[:2]
    top, right = int(STRIP[0] * height), int(STRIP[1] * width)
    middle = (top + height) // 2
    for bit in range(BITS):
        columns = slice(bit * right // BITS, (bit + 1) * right // BITS)
        picture[top:middle, columns] = 255 * (number >> bit & 1)
        picture[middle:, columns] = 255 * (1 - (number >> bit & 1))


def read_number(picture: np.ndarray) -> int | None:
    """Read the number; None where the bars are not visible."""
    height, width = picture.shape[:2]
    top, right = int(STRIP[0] * height), int(STRIP[1] * width)
    quarter = (height - top) // 4
    number = 0
    for bit in range(BITS):
        column = (2 * bit + 1) * right // (2 * BITS)
        upper, lower = (int(picture[row, column].mean()) for row in (top + quarter, height - quarter - 1))
        if abs(upper - lower) < 64:
            return None
        number |= (upper > lower) << bit
    return number


def write_clip(folder: Path, height: int, width: int, rate: int) -> tuple[Path, Path]:
    """Write the camera's clip and its plate."""
    scene = build_scene(height, width)
    pictures = [frame.copy() for frame in scene.frames(SCENE_FRAMES)]
    clip, plate = folder / "camera.avi", folder / "plate.png"
    cv2.imwrite(str(plate), cv2.cvtColor(scene.plate, cv2.COLOR_RGB2BGR))
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("mjpeg", rate=rate, options={"qmin": "2", "qmax": "4"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj422p"
        stream.thread_type = "FRAME"
        for number in range(LOOP):
            picture = pictures[number % SCENE_FRAMES]
            paint_number(picture, number)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return clip, plate


class Stopwatch:
    """Delay of pictures, by the number painted into them."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.meter = Meter()
        self.live: object = None
        self.unread = 0

    def look(self, picture: np.ndarray) -> None:
        """Add a picture that was just shown."""
        now = time.monotonic()
        zero = self.live._camera.clock_zero if self.live is not None else now  # type: ignore[attr-defined]
        number = read_number(picture)
        if number is None or now - zero < WARM_UP_SECONDS:
            self.unread += number is None
            return
        loop = LOOP / self.rate
        self.meter.add((now - zero - number / self.rate) % loop)


class MeasuredWindow(Window):
    """The preview, with a stopwatch."""

    watch: Stopwatch

    def show(self, pixels: np.ndarray) -> None:
        super().show(pixels)
        self.watch.look(pixels)


class MeasuredCamera:
    """Work of a virtual camera without the kernel: packing to YUYV, and a copy."""

    name = "memory"

    def __init__(self, watch: Stopwatch, folder: Path) -> None:
        self.watch = watch
        self._file = os.open(folder / "virtual.yuyv", os.O_RDWR | os.O_CREAT)

    def send(self, pixels: np.ndarray) -> None:
        packed = cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_YUY2)
        os.pwrite(self._file, packed.data, 0)
        self.watch.look(pixels)

    def close(self) -> None:
        os.close(self._file)


def resident_mb() -> float:
    """Read the memory of this process; its peak on systems without the current value."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return pages * resource.getpagesize() / 1e6


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run a session and return its figures."""
    height, width = parse_size(arguments.size)
    clip, plate = write_clip(folder, height, width, arguments.rate)
    window_watch, virtual_watch = Stopwatch(arguments.rate), Stopwatch(arguments.rate)
    MeasuredWindow.watch = window_watch
    start.Window = MeasuredWindow  # type: ignore[misc]
    start.open_virtual_camera = lambda *_: MeasuredCamera(virtual_watch, folder)  # type: ignore[assignment]
    options = start.LiveOptions(
        source=str(clip),
        loop=True,
        plate=plate,
        remembers=False,
        backgrounds=("blur",),
        to=("virtual",) if arguments.virtual else (),
        window=not arguments.no_window,
        folder=folder,
        keyer={"keep": f"rect:0,{STRIP[0]},{STRIP[1]},{1 - STRIP[0]}"},
    )
    alone = [keyer_fps(height, width)]
    samples: list[tuple[float, float, float]] = []  # seconds, MB, latency
    used = 0.0
    with start.open_live(options, Board()) as (live, controls):
        window_watch.live = virtual_watch.live = live

        def tick() -> None:
            nonlocal used
            if controls is not None:
                controls.hear()
            seconds = live.figures.seconds
            if seconds >= WARM_UP_SECONDS and (not samples or seconds - samples[-1][0] >= SAMPLE_SECONDS):
                used = used or time.process_time()
                samples.append((seconds, resident_mb(), live.figures.latest.recent_seconds))

        figures = live.run(on_tick=tick, seconds=arguments.seconds + WARM_UP_SECONDS)
        used = time.process_time() - used
        quality = live._session.quality
    alone.append(keyer_fps(height, width))
    watches = {"window": window_watch, "virtual_camera": virtual_watch}
    return {
        "size": arguments.size,
        "rate": arguments.rate,
        "seconds": arguments.seconds,
        "keyer_alone_fps": [round(fps, 1) for fps in alone],
        "session": figures.to_json(),
        **describe_watches(watches, figures.keying.share(0.5), arguments),
        "quality": {"scale": round(float(quality.scale), 3), "refine": str(quality.refine)},
        "cores_used": round(used / arguments.seconds, 2),
        "samples": [[round(value, 3) for value in sample] for sample in samples],
        "load_average": os.getloadavg()[0],
    }


def describe_watches(
    watches: dict[str, Stopwatch], keyer_seconds: float, arguments: argparse.Namespace
) -> dict[str, object]:
    """Describe rates and delays of the shown pictures as JSON types."""
    return {
        "shown_fps": {
            name: round(watch.meter.count / arguments.seconds, 2) for name, watch in watches.items()
        },
        "end_to_end_ms": {
            name: {"median": 1000 * watch.meter.share(0.5), "p95": 1000 * watch.meter.share(0.95)}
            for name, watch in watches.items()
        },
        "frames_over_the_keyer": {
            name: round((watch.meter.share(0.5) - keyer_seconds) * arguments.rate, 2)
            for name, watch in watches.items()
            if watch.meter.count
        },
        "unread": sum(watch.unread for watch in watches.values()),
    }


def keyer_fps(height: int, width: int) -> float:
    """Measure the keyer alone, as in `cleanplate bench`."""
    options = KeyerOptions(follow=True)
    return float(measure(height, width, 20, options, lambda _: None)["fps"])


def find_growth(samples: list[list[float]]) -> list[str]:
    """Find figures that are larger at the end than at the start, by medians of a quarter each."""
    quarter = max(1, len(samples) // 4)
    first, last = samples[:quarter], samples[-quarter:]
    found = []
    memory = [statistics.median(sample[1] for sample in part) for part in (first, last)]
    if memory[1] > 1.05 * memory[0] + 16:
        found.append(f"memory grew from {memory[0]:.0f} to {memory[1]:.0f} MB")
    delay = [statistics.median(sample[2] for sample in part) for part in (first, last)]
    if delay[1] > 1.5 * delay[0] + 0.02:
        found.append(f"the delay grew from {1000 * delay[0]:.0f} to {1000 * delay[1]:.0f} ms")
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--virtual", action="store_true")
    parser.add_argument("--no-window", action="store_true")
    parser.add_argument("--check", action="store_true", help="exit with 1 if memory or delay has grown")
    arguments = parser.parse_args()
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    with tempfile.TemporaryDirectory() as folder:
        report = run(arguments, Path(folder))
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    grown = find_growth(report["samples"]) if arguments.check else []  # type: ignore[arg-type]
    for sentence in grown:
        sys.stderr.write(f"{sentence}\n")
    return 1 if grown else 0


if __name__ == "__main__":
    raise SystemExit(main())

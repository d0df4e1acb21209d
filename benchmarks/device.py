"""Speed of a run with frames that stay on the accelerator from upload to finished pixels.

    python benchmarks/device.py --device cuda [--size 1920x1080 --frames 200 --layers cutout composite]

The bench's scene goes through the pipeline twice per round: through main memory, where every matte comes down
and is finished and rendered by NumPy and OpenCV, and through the device. Frames are painted before and
rendered ones are dropped, so decoders and encoders have no influence. The output is frames and processor
seconds per second, and the copies per frame to the device and back. The best of the rounds counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from cleanplate import Keyer
from cleanplate.cli.made_scene import build_scene
from cleanplate.compositing.backdrops import open_backdrop
from cleanplate.compositing.device.device_path import DeviceLine
from cleanplate.compositing.finish import Finish
from cleanplate.compositing.layers import render_layer
from cleanplate.frame import Frame
from cleanplate.jobs.pipeline import Output, run
from cleanplate.media import SourceInfo
from cleanplate.models.registry import find_model
from cleanplate.runtimes import open_runtime

DIFFERENT_FRAMES = 12
WARM_UP = 8


class Source:
    """Source of painted frames in a loop."""

    def __init__(self, pictures: list[Any], count: int) -> None:
        height, width = pictures[0].shape[:2]
        self.info = SourceInfo(Path("scene"), height, width, frame_count=count)
        self.notes: list[str] = []
        self._pictures, self._count = pictures, count

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            yield Frame(self._pictures[index % len(self._pictures)], index, Fraction(1, 25), index=index)


class Nowhere:
    """Sink that drops its frames."""

    path = Path("nowhere")

    def __init__(self) -> None:
        self.notes: list[str] = []

    def write(self, pixels: Any, at: Frame) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="of PyTorch: cuda, mps, cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--model", default="lite")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", nargs="+", default=["cutout", "composite"])
    parser.add_argument("--background", default="blur")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    scene = build_scene(height, width)
    pictures = list(scene.frames(DIFFERENT_FRAMES))
    runtime = open_runtime(find_model(options.model), "torch", options.device, precision=options.precision)
    say(f"{runtime.description}, {options.model}, {options.size}, {' and '.join(options.layers)}")
    best: dict[bool, float] = {}
    for _ in range(options.rounds):
        for stays in (False, True):
            seconds = measure(options, scene.plate, pictures, runtime, stays)
            best[stays] = min(best.get(stays, seconds), seconds)
    say(f"on the device {best[False] / best[True]:.2f} times as fast as through main memory")


def measure(options: argparse.Namespace, plate: Any, pictures: list[Any], runtime: Any, stays: bool) -> float:
    """Run the frames on the device or through main memory, print figures, and return the seconds."""
    keyer = Keyer(plate, runtime=runtime, on_device=stays)
    line = DeviceLine(runtime.router, Finish()) if stays else None
    backdrop = open_backdrop(options.background, plate)
    render = line.render_layer if line else render_layer
    outputs: list[Any] = [Output(render(layer, backdrop), Nowhere()) for layer in options.layers]

    def play(count: int) -> None:
        source: Any = Source(pictures, count)
        run(
            source,
            keyer,
            outputs,
            prepare=line.upload if line else None,
            finish=line.finish if line else Finish(),
        )

    play(WARM_UP)
    before, began, processor = runtime.router.transfers.traffic, time.perf_counter(), time.process_time()
    play(options.frames)
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    traffic = runtime.router.transfers.traffic
    up = describe(traffic.sent - before.sent, traffic.sent_bytes - before.sent_bytes, options.frames)
    down = describe(
        traffic.fetched - before.fetched, traffic.fetched_bytes - before.fetched_bytes, options.frames
    )
    say(
        f"{'device' if stays else 'main memory':<12}{options.frames / seconds:8.1f} fps, "
        f"{1000 * processor / options.frames:7.1f} ms of processor time; per frame {up} up, {down} down"
    )
    return seconds


def describe(copies: int, size: int, frames: int) -> str:
    """Describe copies and megabytes per frame."""
    return f"{size / frames / 1e6:.1f} MB in {copies / frames:.2f} copies"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()

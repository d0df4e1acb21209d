"""Time, size and editing speed of each `--codec`: `python benchmarks/codecs.py [--size 1920x1080]`.

The sample clip and its alpha are scaled to the size and written with every installed codec: as a composite
over green and, where it holds alpha, as a cut-out. Printed for a frame: processor time of all threads
for conversion and encoding, and for decoding and conversion; its size; and whether every picture of the file
is a key frame, so that an editor shows any frame after decoding one. Codecs are measured in turn, so that
other load on the machine affects all of them; medians of several rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from cleanplate.compositing.over import over
from cleanplate.frame import Frame, Pixels
from cleanplate.media import Encoding, SourceInfo, open_sink, open_source, sink_formats
from cleanplate.media.containers.formats import CONTAINERS
from cleanplate.system.allocator import keep_freed_memory

SAMPLES = Path(__file__).parents[1] / "samples"


@dataclass
class Figures:
    """Measurements of a codec and layer: processor milliseconds and bytes of a frame, and the kind."""

    encode: list[float]
    decode: list[float]
    size: float = 0.0
    intra: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--codecs", nargs="+", help="names, instead of all")
    arguments = parser.parse_args()
    keep_freed_memory(share_among_threads=True)  # as the command does
    width, height = (int(side) for side in arguments.size.split("x"))
    pictures = make_pictures(height, width, arguments.frames)
    rows = {}  # each codec once, in its first container
    for row in sink_formats():
        if row.available and row.suffix in CONTAINERS and row.name in (arguments.codecs or [row.name]):
            rows.setdefault(row.name, row)
    figures = {
        (name, layer): Figures([], [])
        for name, row in rows.items()
        for layer in (("cutout", "composite") if row.alpha else ("composite",))
    }
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.repeat):
            for (name, layer), one in figures.items():
                path = Path(folder) / f"{name}-{layer}{rows[name].suffix}"
                measure(path, name, layer, pictures[layer], one)
    say("| `--codec` | key frames | cut-out: encode | decode | size | composite: encode | decode | size |")
    say("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in rows:
        words = ["all" if figures[name, "composite"].intra else "some"]
        for layer in ("cutout", "composite"):
            words += describe(figures.get((name, layer)))
        say(f"| `{name}` | {' | '.join(words)} |")


def describe(figures: Figures | None) -> list[str]:
    """The columns of a layer."""
    if figures is None:
        return ["–"] * 3
    encode, decode = statistics.median(figures.encode), statistics.median(figures.decode)
    return [f"{encode:.0f} ms", f"{decode:.0f} ms", f"{figures.size / 1000:.0f} kB"]


def make_pictures(height: int, width: int, count: int) -> dict[str, list[Pixels]]:
    """Cut-outs and composites of the sample clip, scaled to a size."""
    with open_source(SAMPLES / "clip.mp4") as clip, open_source(SAMPLES / "clip_alpha.mkv") as truth:
        both = islice(zip(clip, truth, strict=False), count)
        pairs = [(frame.pixels, alpha.pixels) for frame, alpha in both]
    pictures: dict[str, list[Pixels]] = {"cutout": [], "composite": []}
    for pixels, alpha in pairs:
        colour, matte = (
            np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC))
            for picture in (pixels, alpha[..., 0])
        )
        pictures["cutout"].append(np.dstack([colour, matte]))
        green = np.broadcast_to(np.array([0, 177, 64], np.uint8), colour.shape)
        pictures["composite"].append(over(colour, matte / np.float32(255), np.ascontiguousarray(green)))
    return pictures


def measure(path: Path, codec: str, layer: str, pictures: list[Pixels], into: Figures) -> None:
    """Write and read the pictures once."""
    height, width = pictures[0].shape[:2]
    began = time.process_time()
    with open_sink(
        path, SourceInfo(path, height, width), layer=layer, overwrite=True, encoding=Encoding(codec=codec)
    ) as sink:
        for index, picture in enumerate(pictures):
            sink.write(picture, Frame(picture[..., :3], pts=index, index=index))
    into.encode.append(1000 * (time.process_time() - began) / len(pictures))
    into.size = path.stat().st_size / len(pictures)
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        into.intra = all(packet.is_keyframe for packet in packets)
    began = time.process_time()
    with open_source(path) as source:
        read = sum(1 for _ in source)
    into.decode.append(1000 * (time.process_time() - began) / read)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

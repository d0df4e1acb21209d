"""Efficiency of `cleanplate video`: the pipeline compared with its slowest part alone.

    python benchmarks/end_to_end.py [--size 1920x1080 --times 2 --repeat 3 --only cutout composite]

The sample clip is scaled to the size, encoded as H.264 and keyed with the defaults of the command: into a
ProRes 4444 cut-out and into an H.264 composite. Decoder, keyer, finish and render, and encoder are timed
alone over the same frames, then the pipeline that overlaps them, in turn, so that other load on the machine
affects all of them. Medians are printed: frames a second, processor time of a frame on all threads, and the
peak memory of the command in a process of its own. Every part may use all cores when it is alone.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2

from cleanplate import Keyer, matte_video
from cleanplate.compositing.backdrops import open_backdrop
from cleanplate.compositing.finish import Finish
from cleanplate.compositing.layers import render_layer
from cleanplate.frame import Frame
from cleanplate.jobs import FILES
from cleanplate.media import SourceInfo, open_sink, open_source
from cleanplate.system.allocator import keep_freed_memory

SAMPLES = Path(__file__).parents[1] / "samples"
CYCLE = 25
"""Number of different frames in memory: enough to be realistic, few enough for the cache."""

BACKGROUND = "#00b140"
OUTPUTS = {"cutout": "cut.mov", "composite": "composite.mp4"}

Part = Callable[[], None]


@dataclass(frozen=True)
class Shot:
    """A clip and its plate, the clip's frames in a loop, and the number of frames of a run."""

    clip: Path
    plate: Path
    info: SourceInfo
    frames: list[Frame]
    count: int

    def looped(self) -> list[Frame]:
        """Yield the clip's number of frames, with its times."""
        step = self.frames[1].pts - self.frames[0].pts
        return [
            Frame(self.frames[i % len(self.frames)].pixels, i * step, self.info.time_base, step, i)
            for i in range(self.count)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--only", nargs="+", choices=tuple(OUTPUTS), default=list(OUTPUTS))
    parser.add_argument("--times", type=int, default=2, help="number of repetitions of the clip")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    keep_freed_memory(share_among_threads=True)  # as the command does
    with tempfile.TemporaryDirectory() as folder:
        shot = make_shot(Path(folder), arguments.size, arguments.times)
        for layer in arguments.only:
            compare(shot, layer, Path(folder), arguments.repeat)


def make_shot(folder: Path, size: str, times: int, most_frames: int | None = None) -> Shot:
    """Scale the sample clip, or its beginning, and its plate; repeat the clip."""
    width, height = (int(side) for side in size.split("x"))
    once, clip, plate = folder / "once.mp4", folder / "clip.mp4", folder / "plate.png"
    scale_clip(SAMPLES / "clip.mp4", once, height, width, most_frames)
    play_several_times(once, clip, times)
    picture = cv2.imread(str(SAMPLES / "clip_plate.jpg"))
    cv2.imwrite(str(plate), cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC))
    with open_source(clip) as source:
        decoded = iter(source)
        frames = list(islice(decoded, CYCLE))
        return Shot(clip, plate, source.info, frames, len(frames) + sum(1 for _ in decoded))


def scale_clip(clip: Path, into: Path, height: int, width: int, most_frames: int | None) -> None:
    with av.open(clip) as source, av.open(into, "w") as result:
        original = source.streams.video[0]
        stream = result.add_stream("libx264", rate=original.average_rate, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in islice(source.decode(original), most_frames):
            scaled = frame.reformat(width, height, "yuv420p", interpolation="BICUBIC")
            result.mux(stream.encode(scaled))
        result.mux(stream.encode(None))


def play_several_times(clip: Path, into: Path, times: int) -> None:
    """Write the clip's video several times in a row into one file, without encoding it again."""
    with av.open(into, "w") as result:
        begin, stream = 0, None
        for _ in range(times):
            with av.open(clip) as source:
                original = source.streams.video[0]
                stream = stream or result.add_stream_from_template(original)
                for packet in source.demux(original):
                    if packet.dts is not None:
                        packet.pts += begin
                        packet.dts += begin
                        packet.stream = stream
                        result.mux(packet)
                begin += original.duration


def compare(shot: Shot, layer: str, folder: Path, repeat: int) -> None:
    """Time each part and the whole in turn, and print the figures."""
    out = folder / OUTPUTS[layer]
    background = BACKGROUND if layer == "composite" else None
    parts = make_parts(shot, layer, out, background)
    seconds = measure(parts, repeat)
    say(f"\n{layer}, {shot.info.width}x{shot.info.height}, {shot.count} frames into {out.suffix}")
    say(f"{'part alone':<20}{'frames a second':>16}{'processor ms a frame':>22}")
    fps = {}
    for name, (wall, processor) in seconds.items():
        fps[name] = shot.count / wall
        say(f"{name:<20}{fps[name]:>16.1f}{1000 * processor / shot.count:>22.1f}")
    slower = min(fps["keyer"], fps["encoder"])
    say(f"the whole reaches {fps['the whole'] / slower:.0%} of the slower of keyer and encoder")
    say(f"peak memory of the command: {measure_memory(shot, out, background):.0f} MB")


def make_parts(shot: Shot, layer: str, out: Path, background: str | None) -> Mapping[str, Part]:
    """Make the timed parts, by name."""
    keyer = Keyer(shot.plate, **FILES)
    keyer.refit(shot.frames[0])
    finish = Finish()
    render = render_layer(layer, background and open_backdrop(background, None))
    mattes = [keyer(frame) for frame in shot.frames]
    pictures = [render(finish(matte)) for matte in mattes]
    frames = shot.looped()

    def decode() -> None:
        with open_source(shot.clip) as source:
            for _ in source:
                pass

    def key() -> None:
        for frame in frames:
            keyer(frame)

    def touch() -> None:
        for number in range(shot.count):
            render(finish(mattes[number % len(mattes)]))

    def encode() -> None:
        with open_sink(out, shot.info, layer=layer, overwrite=True) as sink:
            for number, frame in enumerate(frames):
                sink.write(pictures[number % len(pictures)], frame)

    def whole() -> None:
        matte_video(shot.clip, shot.plate, out, overwrite=True, background=background)

    return {
        "decoder": decode,
        "keyer": key,
        "finish and render": touch,
        "encoder": encode,
        "the whole": whole,
    }


def measure(parts: Mapping[str, Part], repeat: int) -> dict[str, tuple[float, float]]:
    """Measure wall and processor seconds, medians of several runs in turn."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
    for _ in range(repeat):
        for name, part in parts.items():
            wall, processor = time.perf_counter(), time.process_time()
            part()
            runs[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {
        name: (statistics.median(w for w, _ in times), statistics.median(p for _, p in times))
        for name, times in runs.items()
    }


def measure_memory(shot: Shot, out: Path, background: str | None) -> float:
    """Measure the command's peak memory in megabytes, as counted by Linux."""
    words: list[Any] = [sys.executable, "-m", "cleanplate", "video", shot.clip]
    words += ["--plate", shot.plate, "-o", out, "--overwrite"]
    words += ["--background", background] if background else []
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    # Not the usage from the system at the end: it includes the memory of this process at the fork.
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = max(peak, int(line.split()[1]))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"cleanplate video failed with status {process.returncode}")
    return peak * 1024 / 1e6


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

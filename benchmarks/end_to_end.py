"""How much of the machine `cleanplate video` gets out: the whole against its slowest part alone.

    python benchmarks/end_to_end.py [--clip CLIP --plate PLATE --model NAME --suffix .mov --repeat 3]

Decoding, keying and encoding are timed alone over the same frames, then the pipeline that overlaps them.
Every part may use all cores when it is alone. The clip is played several times over, so that opening files
and loading the model weigh as little as they do for a real one. The best of the repetitions counts; run it
on an idle machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av

from cleanplate import Keyer, matte_video
from cleanplate.composite import straight_rgba
from cleanplate.frame import Frame
from cleanplate.media import open_sink, open_source

SAMPLES = Path(__file__).parents[1] / "samples"
CYCLE = 25
"""Different frames that are kept: enough to be real, few enough for memory to stay warm."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", type=Path, default=SAMPLES / "clip.mp4")
    parser.add_argument("--plate", type=Path, default=SAMPLES / "clip_plate.jpg")
    parser.add_argument("--model", default="lite")
    parser.add_argument("--suffix", default=".mov")
    parser.add_argument("--times", type=int, default=4, help="how often the clip is played")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / f"clip{arguments.clip.suffix}"
        play_several_times(arguments.clip, clip, arguments.times)
        compare(arguments, clip)


def compare(arguments: argparse.Namespace, clip: Path) -> None:
    """Time each part and the whole."""
    with open_source(clip) as source:
        info, frames = source.info, list(source)
    keyer = Keyer(arguments.plate, model=arguments.model)
    keyer.refit(frames[0])
    cutouts = [straight_rgba(keyer(frame)) for frame in frames[:CYCLE]]

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"cut{arguments.suffix}"

        def decode() -> None:
            with open_source(clip) as source:
                for _ in source:
                    pass

        def key() -> None:
            for frame in frames:
                keyer(frame)

        def encode() -> None:
            with open_sink(out, info, overwrite=True) as sink:
                for number, frame in enumerate(frames):
                    sink.write(cutouts[number % len(cutouts)], frame)

        def whole() -> None:
            matte_video(clip, arguments.plate, out, overwrite=True, model=arguments.model, scale="auto")

        parts = (("decoder alone", decode), ("model alone", key), ("encoder alone", encode), ("whole", whole))
        fps = {name: measure(name, part, frames, arguments.repeat) for name, part in parts}
    slower = min(fps["model alone"], fps["encoder alone"])
    say(f"the whole reaches {fps['whole'] / slower:.0%} of the slower of model and encoder")


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


def measure(name: str, part: Callable[[], None], frames: list[Frame], repeat: int) -> float:
    """Frames per second of the best of ``repeat`` runs, said on the way."""
    seconds = []
    for _ in range(repeat):
        began = time.perf_counter()
        part()
        seconds.append(time.perf_counter() - began)
    say(f"{name:<14}{len(frames) / min(seconds):8.1f} fps")
    return len(frames) / min(seconds)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()

"""The official inference_video.py compared with `cleanplate video`: same clip, machine, run and weights.

    git clone https://github.com/PeterL1n/BackgroundMattingV2
    python benchmarks/versus_official_video.py --official BackgroundMattingV2 [--frames 60 --repeat 3]

MobileNetV2 at 1920x1080, scale 1/4, 80,000 sampled pixels, on the CPU: from an H.264 file to a composite over
green, each program with its own decoder and encoder (theirs: MPEG-4; ours: H.264). Their script runs as it
is, in a process of its own; stand-ins replace its imports of torchvision and tqdm. The time is that from the
first frame to the last; starting Python and loading the model are not counted. Without a checkpoint the
weights are random, except for the last layers, which return the difference of frame and plate, because noise
would cost encoders more than a matte. Runs alternate; medians of wall clock and processor time are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch
from end_to_end import make_shot, say
from torchvision_stand_in import torchvision_or_stand_in
from versus_official import PIXELS, SCALE, prepare, randomise

from cleanplate import matte_video
from cleanplate.models.registry import Model
from cleanplate.system.allocator import keep_freed_memory

SIZE = "1920x1080"
GREEN = "#78ff9b"
"""Background of the official script."""

RESULT = "CLEANPLATE_OFFICIAL_TIMES"
"""Names the file, in the environment of the process that runs the official script, for its times."""

Item = TypeVar("Item")


def main() -> None:
    if RESULT in os.environ:
        run_script(Path(os.environ[RESULT]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--official", type=Path, required=True, help="clone of BackgroundMattingV2")
    parser.add_argument("--checkpoint", type=Path, help="pytorch_mobilenetv2.pth; random without")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    keep_freed_memory(share_among_threads=True)  # like `cleanplate video`
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shot = make_shot(folder, SIZE, 1, arguments.frames)
        official, model = prepare(arguments.official, arguments.checkpoint, folder, key_by_difference)
        weights = folder / "weights.pth"
        torch.save(official.state_dict(), weights)
        programs: dict[str, Callable[[], tuple[float, float]]] = {
            "official": lambda: run_official(arguments.official, weights, shot.clip, shot.plate, folder),
            "cleanplate": lambda: run_ours(model, shot.clip, shot.plate, folder / "ours.mp4"),
        }
        times: dict[str, list[tuple[float, float]]] = {program: [] for program in programs}
        for _ in range(arguments.repeat):
            for program, run in programs.items():
                wall, processor = (1000 * seconds / shot.count for seconds in run())
                times[program].append((wall, processor))
                say(f"{program:<12}{wall:8.1f} ms a frame, {processor:8.1f} ms of the processor")
    theirs, ours = medians(times["official"]), medians(times["cleanplate"])
    say(f"medians of {arguments.repeat} runs of {shot.count} frames, {SIZE}:")
    for clock, their, our in zip(("wall clock", "processor"), theirs, ours, strict=True):
        say(f"{clock}: {their:.1f} and {our:.1f} ms a frame, a ratio of {their / our:.2f}")


def key_by_difference(network: Any) -> None:
    """Draw random weights with a plausible matte: the pixels darker than the plate."""
    randomise(network)
    last, refined = network.decoder.conv4, network.refiner.conv4
    for channel, gain, bias in ((0, 4.0, -0.3), (4, 2.0, 0.05)):  # alpha and error
        last.weight.data[channel] = 0
        # The last six inputs are the frame and the plate.
        last.weight.data[channel, -6:, 1, 1] = torch.tensor([-gain] * 3 + [gain] * 3)
        last.bias.data[channel] = bias
    last.weight.data[1:4], last.bias.data[1:4] = 0, 0
    refined.weight.data[:] = 0
    refined.bias.data[:] = torch.tensor([1.0, 0, 0, 0])


def run_official(clone: Path, weights: Path, clip: Path, plate: Path, folder: Path) -> tuple[float, float]:
    """Measure wall and processor seconds of the official script's loop over all frames."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        result = Path(out) / "times.json"
        words = ["inference_video.py", "--model-type", "mattingrefine", "--model-backbone", "mobilenetv2"]
        words += ["--model-backbone-scale", str(SCALE), "--model-refine-mode", "sampling"]
        words += ["--model-refine-sample-pixels", str(PIXELS), "--model-checkpoint", str(weights)]
        words += ["--video-src", str(clip), "--video-bgr", str(plate), "--device", "cpu"]
        words += ["--output-dir", str(Path(out) / "results"), "--output-types", "com"]
        subprocess.run(
            [sys.executable, __file__, str(clone), *words],
            env={**os.environ, RESULT: str(result)},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wall, processor = json.loads(result.read_text())
        return wall, processor


def run_script(result: Path) -> None:
    """Run the official script with the given arguments in this process, and write its times."""
    clone, *sys.argv = sys.argv[1:]

    def tqdm(frames: Iterable[Item]) -> Iterator[Item]:
        wall, processor = time.perf_counter(), time.process_time()
        yield from frames
        seconds = time.perf_counter() - wall, time.process_time() - processor
        result.write_text(json.dumps(seconds))

    stand_in: Any = ModuleType("tqdm")
    stand_in.tqdm = tqdm
    sys.modules["tqdm"] = stand_in
    sys.path.insert(0, clone)
    with torchvision_or_stand_in():
        runpy.run_path(str(Path(clone) / sys.argv[0]), run_name="__main__")


def run_ours(model: Model, clip: Path, plate: Path, out: Path) -> tuple[float, float]:
    """Measure wall seconds of this package's run over all frames; processor seconds with loading."""
    processor = time.process_time()
    summary = matte_video(
        clip,
        plate,
        out,
        background=GREEN,
        overwrite=True,
        model=model,
        runtime="onnx",
        scale=SCALE,
        refine=f"sampling:{PIXELS}",
    )
    return summary.seconds, time.process_time() - processor


def medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times)


if __name__ == "__main__":
    main()

"""Numbers of workers, in turn: `python benchmarks/workers.py [--size 1920x1080 --workers 1 2 --repeat 5]`.

The sample clip is keyed into a ProRes 4444 cut-out, or with ``--layer composite`` into an H.264 composite,
with each number of workers in turn, so that other load on the machine affects all of them. Medians are
printed: frames a second, processor time of a frame in all threads, and the share of all cores that was busy;
and the median ratio of frames a second to the first number.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from end_to_end import BACKGROUND, OUTPUTS, Shot, make_shot, say

from cleanplate import matte_video
from cleanplate.system.allocator import keep_freed_memory
from cleanplate.system.cores import usable_cores


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--scale", default="fine")
    parser.add_argument("--layer", choices=tuple(OUTPUTS), default="cutout")
    parser.add_argument("--workers", nargs="+", default=["1", "2"])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    keep_freed_memory(share_among_threads=True)  # as the command does
    runs: dict[str, list[tuple[float, float, float]]] = {workers: [] for workers in arguments.workers}
    with tempfile.TemporaryDirectory() as name:
        shot = make_shot(Path(name), arguments.size, 1, arguments.frames)
        for _ in range(arguments.repeat):
            for workers, measured in runs.items():
                measured.append(measure(shot, Path(name), arguments.layer, arguments.scale, workers))
    say(f"{arguments.layer}, {arguments.size}, --scale {arguments.scale}, {arguments.repeat} runs in turn")
    say(f"{'workers':<10}{'frames a second':>18}{'processor ms':>16}{'cores busy':>14}{'ratio':>10}")
    first = runs[arguments.workers[0]]
    for workers, measured in runs.items():
        fps, processor, busy = (statistics.median(values) for values in zip(*measured, strict=True))
        ratio = statistics.median(one[0] / other[0] for one, other in zip(measured, first, strict=True))
        say(f"{workers:<10}{fps:>18.2f}{processor:>16.1f}{busy:>14.0%}{ratio:>10.2f}")


def measure(shot: Shot, folder: Path, layer: str, scale: str, workers: str) -> tuple[float, float, float]:
    """Frames a second, processor milliseconds of a frame, and the share of all cores that was busy."""
    began, processor = time.perf_counter(), time.process_time()
    summary = matte_video(
        shot.clip,
        shot.plate,
        folder / OUTPUTS[layer],
        overwrite=True,
        scale=scale,
        workers=workers,
        background=BACKGROUND if layer == "composite" else None,
    )
    spent = time.process_time() - processor
    busy = spent / ((time.perf_counter() - began) * usable_cores())
    return summary.frames / summary.seconds, 1000 * spent / summary.frames, busy


if __name__ == "__main__":
    main()

"""Throughput of `cleanplate video` over workers and cores, measured and predicted.

    python benchmarks/scaling.py [--size 1920x1080 --frames 100 --network 0.4]

Three tables:

1. One core (by affinity), 1, 2 and 4 workers, with the networks replaced by a wait of ``--network`` seconds,
   as if each worker had a slow core of its own. Decoder, chain of the keyer and encoder are real. The order
   of the frames is checked. Predicted: workers / wait, as long as the one core is not full.
2. The real pipeline on 1, 2 ... cores of this machine, with one worker each.
3. Predicted frames a second on more cores, from the times of one frame that table 2 measured on most cores
   (an encoder has threads of its own from two cores on): the slowest of all processor time divided by the
   cores, of each stage that is a single thread, and of compositing divided by its threads. (Amdahl's law for
   a pipeline, whose serial stages run side by side.) Memory bandwidth is not part of it.

The start, with the fit of the plate, is not counted. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from end_to_end import make_shot, say

from cleanplate import Keyer, matte_video
from cleanplate.compositing import render_layer
from cleanplate.frame import Frame, Matte
from cleanplate.jobs import FILES
from cleanplate.jobs.pipeline import (
    CHAIN,
    COMPOSITING,
    Output,
    Progress,
    Summary,
    Workers,
    choose_compositors,
    run,
)
from cleanplate.keyer.frame_worker import FrameTask, KeyedFrame
from cleanplate.media import open_sink, open_source
from cleanplate.system.allocator import keep_freed_memory

WORKERS = (1, 2, 4)
WARM_UP_FRAMES = 8
"""Frames that are not counted."""

CORES = (1, 2, 4, 8, 16, 32)

WORKERS_AT_LEAST = 2
"""Workers on one core as well, where they separate the chain from the rest."""


@dataclass(frozen=True)
class Times:
    """Seconds of a frame.

    Attributes:
        fps: Frames a second of the whole.
        processor: Processor time of all threads.
        stages: Processor time of each stage that is a single thread, and of all threads of compositing.
    """

    fps: float
    processor: float
    stages: dict[str, float]


class SlowKeyer:
    """A keyer whose networks wait instead of computing; its chain is a real one."""

    def __init__(self, keyer: Keyer, seconds: float) -> None:
        self._keyer, self._seconds = keyer, seconds
        self.expect, self.place, self.accept = keyer.expect, keyer.place, keyer.accept

    def worker(self, task: FrameTask) -> KeyedFrame:
        time.sleep(self._seconds)
        pixels = task.frame.pixels
        matte = Matte(np.zeros(pixels.shape[:2], np.float32), pixels, task.frame)
        return KeyedFrame(task, matte, matte, (0.0, 0.0), {})

    def open_worker(self, threads: int) -> Callable[[FrameTask], KeyedFrame]:  # noqa: ARG002
        return self.worker

    def __call__(self, frame: Frame) -> Matte:
        return self.accept(self.worker(self.place(self.expect(frame))))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=100, help="at most 100")
    parser.add_argument("--network", type=float, default=0.4, help="seconds of a simulated network")
    parser.add_argument("--part", help=argparse.SUPPRESS)  # one measurement, in a process of its own
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        measure_here(arguments)
        return
    with tempfile.TemporaryDirectory() as name:
        arguments.folder = Path(name)
        make_shot(arguments.folder, arguments.size, 1, arguments.frames)
        show_simulation(arguments)
        show_prediction(show_cores(arguments))


def show_simulation(arguments: argparse.Namespace) -> None:
    say(f"\nsimulated networks of {arguments.network:g} s, one core, {arguments.size}")
    say(f"{'workers':<10}{'frames a second':>18}{'predicted':>12}")
    for workers in WORKERS:
        times = measure_apart(arguments, f"simulated:{workers}", cores=1)
        predicted = min(workers / arguments.network, 1 / times.processor)
        say(f"{workers:<10}{times.fps:>18.2f}{predicted:>12.2f}")


def show_cores(arguments: argparse.Namespace) -> Times:
    """Measure the real pipeline; returns the times on most cores."""
    here = len(os.sched_getaffinity(0))
    say(f"\nthe real pipeline into ProRes 4444, {arguments.size}, {here} cores here")
    say(f"{'cores':<10}{'frames a second':>18}{'predicted':>12}{'processor ms a frame':>24}")
    runs = {cores: measure_apart(arguments, "real", cores=cores) for cores in CORES if cores <= here}
    most = runs[max(runs)]
    for cores, times in runs.items():
        say(f"{cores:<10}{times.fps:>18.2f}{predict(most, cores):>12.2f}{1000 * times.processor:>24.0f}")
    return most


def show_prediction(times: Times) -> None:
    say("\nprocessor ms of a frame: " + f"{1000 * times.processor:.0f} in all threads; stages: ")
    say(", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in times.stages.items()))
    say(f"{'cores':<10}{'predicted frames a second':>28}")
    for cores in CORES:
        say(f"{cores:<10}{predict(times, cores):>28.1f}")


def predict(times: Times, cores: int) -> float:
    """Frames a second by the slowest part: all cores together, or the threads of one stage."""
    stages = dict(times.stages)
    stages[COMPOSITING] /= choose_compositors(max(WORKERS_AT_LEAST, cores))
    return 1 / max(times.processor / cores, *stages.values())


def measure_apart(arguments: argparse.Namespace, part: str, *, cores: int) -> Times:
    """Measure in a process of its own, which is bound to its cores from its start."""
    words: list[Any] = [sys.executable, __file__, "--part", part, "--cores", cores]
    words += ["--folder", arguments.folder, "--network", arguments.network]
    done = subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, text=True)
    return Times(**json.loads(done.stdout))


def measure_here(arguments: argparse.Namespace) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    keep_freed_memory(share_among_threads=True)  # as the command does
    folder: Path = arguments.folder
    samples: list[tuple[int, float, float]] = []

    def sample(progress: Progress) -> None:
        if progress.frames >= WARM_UP_FRAMES and (not samples or progress.frames > samples[-1][0]):
            samples.append((progress.frames, time.perf_counter(), time.process_time()))

    kind, _, workers = arguments.part.partition(":")
    if kind == "real":
        summary = matte_video(
            folder / "clip.mp4",
            folder / "plate.png",
            folder / "cut.mov",
            overwrite=True,
            workers=max(WORKERS_AT_LEAST, arguments.cores),
            on_progress=sample,
        )
    else:
        summary = key_slowly(folder, int(workers), arguments.network, sample)
    (first, began, spent), (last, ended, spent_at_end) = samples[0], samples[-1]
    fps, processor = (last - first) / (ended - began), (spent_at_end - spent) / (last - first)
    say(json.dumps(vars(Times(fps, processor, list_stages(summary, measure_fit(folder))))))


def measure_fit(folder: Path) -> float:
    """Processor time of the plate's first fit, which happens once in a run."""
    with open_source(folder / "clip.mp4") as source:
        frame = next(iter(source))
    keyer = Keyer(folder / "plate.png", **FILES)
    began = time.thread_time()
    keyer.refit(frame)
    return time.thread_time() - began


def key_slowly(
    folder: Path, workers: int, network: float, on_progress: Callable[[Progress], None]
) -> Summary:
    """Run the pipeline with simulated networks, and check the order of the frames."""
    keyer = SlowKeyer(Keyer(folder / "plate.png", **FILES), network)
    seen: list[int] = []
    with open_source(folder / "clip.mp4") as source:
        sink = open_sink(folder / "cut.mov", source.info, overwrite=True)
        output = Output(render_layer("cutout", None), sink)
        observers = [lambda matte: seen.append(matte.frame.index)]
        with closing(source):
            several = Workers(keyer, workers, 1)
            summary = run(source, several, [output], observers=observers, on_progress=on_progress)
    if seen != list(range(summary.frames)):
        raise SystemExit(f"the frames are not in order: {seen}")
    return summary


def list_stages(summary: Summary, fit: float) -> dict[str, float]:
    """Processor time of a frame in compositing and in each single thread, without the plate's fit."""
    seconds = {load.name: load.processor_seconds for load in summary.loads if load.threads == 1}
    del seconds["keying"]  # the frames before the plate is at rest; the chain is counted by itself
    seconds[COMPOSITING] += sum(
        load.processor_seconds for load in summary.loads if load.name.endswith(" compositors")
    )
    seconds[CHAIN] -= fit
    return {name: spent / summary.frames for name, spent in seconds.items()}


if __name__ == "__main__":
    main()

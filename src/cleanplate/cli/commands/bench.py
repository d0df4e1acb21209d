"""``cleanplate bench``: measure the speed of keying on this machine, with a synthetic scene."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate import __version__
from cleanplate.cli.option_arguments import add_keyer_options, keyer_options
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import OptionError
from cleanplate.frame import MINIMUM_SIDE, Matte, Pixels
from cleanplate.system.cores import usable_cores
from cleanplate.vocabulary import KeyerOptions

if TYPE_CHECKING:
    from cleanplate.cli.made_scene import Scene
    from cleanplate.jobs.pipeline import Workers
    from cleanplate.keyer.keyer import Keyer

NAME = "bench"
SUMMARY = "measure throughput and the time of each stage on this machine"
EXAMPLES = """\
examples:
  cleanplate bench --size 1920x1080 --json
  cleanplate bench --runtime all                  (a table of every runtime that is installed)
  cleanplate bench --end-to-end clip.mp4 --plate plate.jpg --scale fine   (the work of each stage)

The scene is synthetic and always the same: a figure that fills about a third of the frame. Times are medians;
fps counts the whole keyer, networks and router together: for one frame at a time, as live sessions key, and
for several at the same time, as files are keyed. The first fit of the plate happens once and is not
counted. The stages fit and learn are the time per frame for detecting motion and tracking the camera.
With ONNX Runtime on the CPU and a float network, the work of a frame is compared with a plain convolution and
a plain copy: the limit is the model (its arithmetic), memory bandwidth, or threads (cores that wait or run
other programs).
"""

SCENE_FRAMES = 6
"""Number of different frames, which are keyed in turn."""

WARM_UP_FRAMES = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument(
        "--size", default="1920x1080", metavar="WxH", help="size of the frames (default: 1920x1080)"
    )
    parser.add_argument("--frames", type=int, default=60, metavar="N", help="frames to measure (default: 60)")
    parser.add_argument(
        "--shake",
        action="store_true",
        help="shake the camera as a hand does, so that the plate is tracked at every frame",
    )
    parser.add_argument(
        "--workers",
        default="auto",
        metavar="N",
        help="frames to key at the same time, as `video` does: auto or a number; 1 leaves this out",
    )
    parser.add_argument(
        "--end-to-end",
        type=Path,
        metavar="CLIP",
        help="key this clip into a temporary file, and print the work of each stage and of the cores",
    )
    parser.add_argument(
        "--plate", default="auto", help="plate of the clip; auto (default): build it from the clip"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--matte", type=Path, help=argparse.SUPPRESS)  # of the first frame, for comparisons
    add_keyer_options(parser, scale="auto")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    height, width = parse_size(arguments.size)
    if arguments.frames < 1:
        raise OptionError(f"--frames is {arguments.frames}; expected 1 or more.")
    options = keyer_options(arguments)
    with Reporter() as reporter:
        if arguments.end_to_end is not None:
            from cleanplate.cli.commands.bench_clip import describe_clip, measure_clip

            report = measure_clip(
                arguments.end_to_end, arguments.plate, options, arguments.workers, reporter.progress
            )
            text = describe_clip(report)
        elif arguments.runtime == "all":
            from cleanplate.cli.commands.bench_all import describe_all, measure_all

            extra = ["--workers=1", *(["--shake"] if arguments.shake else [])]
            report = measure_all(arguments.size, arguments.frames, options, extra, reporter.progress)
            text = describe_all(report)
        else:
            report = measure(
                height, width, arguments.frames, options, reporter.progress,
                workers=arguments.workers, shake=arguments.shake, matte=arguments.matte,
            )  # fmt: skip
            text = describe(report)
        reporter.result(json.dumps(report, indent=2) if arguments.json else text)
    return 0


def parse_size(text: str) -> tuple[int, int]:
    """Read ``1920x1080`` as ``(1080, 1920)``."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or min(map(int, match.groups())) < MINIMUM_SIDE:
        raise OptionError(
            f"--size is {text!r}; expected width x height of {MINIMUM_SIDE} at least, such as 1920x1080."
        )
    return int(match[2]), int(match[1])


def measure(
    height: int,
    width: int,
    count: int,
    options: KeyerOptions,
    say: Callable[[str], None],
    *,
    workers: int | str = 1,
    shake: bool = False,
    matte: Path | None = None,
) -> dict[str, Any]:
    """Key ``count`` frames of the scene and report medians.

    Args:
        height: Height of the frames.
        width: Width of the frames.
        count: Number of measured frames.
        options: Options of the keyer.
        say: Receives the progress.
        workers: Workers for a second measurement, as of :class:`cleanplate.jobs.Job`.
        shake: Whether the camera shakes as if held by hand.
        matte: File for alpha and foreground of the first frame, as ``.npz``.
    """
    from cleanplate.cli.commands.bench_limits import measure_limits
    from cleanplate.cli.made_scene import build_scene
    from cleanplate.jobs.pipeline import Workers, bytes_in_flight, choose_workers
    from cleanplate.keyer.keyer import Keyer
    from cleanplate.media import SourceInfo

    say("painting the scene")
    scene = build_scene(height, width)
    frames = _paint_frames(scene, shake=shake)
    say("loading the network")
    began = time.perf_counter()
    keyer = Keyer(scene.plate, options)
    first = keyer(frames[0])
    first_frame_seconds = time.perf_counter() - began
    fit_seconds = keyer.timings["fit"]
    if matte is not None:
        _save_matte(first, matte)
    milliseconds, busy = _time_stages(keyer, frames, count, options.threads or usable_cores(), say)
    seconds = milliseconds["keyer"] / 1000
    number, threads = 1, 0
    if keyer.splits:
        number, threads = choose_workers(
            workers, height * width, options.threads, model_bytes=keyer.model_bytes, of_clip=True
        )
    if number > 1:
        say(f"{number} workers")
        seconds, busy = _time_workers(Workers(keyer, number, threads), frames, count)
    peak_memory = peak_memory_mb()
    limits = None
    if keyer.splits:
        say("plain convolution and plain copy")
        limits = measure_limits(scene.plate, frames[0], options, seconds, busy)
    return {
        "fps": 1000 / milliseconds["keyer"],
        "workers_fps": 1 / seconds if number > 1 else None,
        "workers": number,
        "size": f"{width}x{height}",
        "frames": count,
        "milliseconds": milliseconds,
        "plate_fit_seconds": fit_seconds,
        "first_frame_seconds": first_frame_seconds,
        "peak_memory_mb": peak_memory,
        "limits": limits,
        "frames_in_flight_mb": bytes_in_flight(SourceInfo(Path(), height, width), ["cutout"], number) / 1e6,
        "setup": keyer.describe(),
        "subject_share": float(scene.alpha.mean()),
        "cpu_count": usable_cores(),
        "version": __version__,
    }


def _paint_frames(scene: Scene, *, shake: bool) -> list[Pixels]:
    from cleanplate.cli.made_scene import shake_frame

    frames = list(scene.frames(SCENE_FRAMES))
    if not shake:
        return frames
    return [shake_frame(frame, number / SCENE_FRAMES) for number, frame in enumerate(frames)]


def _save_matte(matte: Matte, path: Path) -> None:
    import numpy as np

    np.savez(path, alpha=matte.alpha, foreground=matte.foreground)


def _time_stages(
    keyer: Keyer, frames: Sequence[Pixels], count: int, cores: int, say: Callable[[str], None]
) -> tuple[dict[str, float], float]:
    """Key the frames in turn.

    Returns:
        Median milliseconds of each stage and of the whole keyer, and the share of the cores that was busy.
    """
    seconds: dict[str, list[float]] = {}
    meter = _CoreMeter(cores)
    for number in range(-WARM_UP_FRAMES, count):
        if number == 0:
            meter = _CoreMeter(cores)
        say(f"frame {max(number, 0)} of {count}")
        began = time.perf_counter()
        keyer(frames[number % len(frames)])
        total = time.perf_counter() - began
        if number >= 0:
            for stage, spent in {**keyer.timings, "keyer": total}.items():
                seconds.setdefault(stage, []).append(spent)
    return {stage: 1000 * statistics.median(spent) for stage, spent in seconds.items()}, meter.busy


def _time_workers(workers: Workers, frames: Sequence[Pixels], count: int) -> tuple[float, float]:
    """Key the frames in turn with several workers; returns seconds of a frame and the share of busy cores."""
    from contextlib import closing

    from cleanplate.frame import Frame

    cores = workers.count * workers.threads
    warm_up = WARM_UP_FRAMES * workers.count
    looped = (Frame(frames[n % len(frames)], pts=n, index=n) for n in range(warm_up + count))
    meter = _CoreMeter(cores)
    with closing(workers.key(looped)) as steps:
        for frame, key in steps:
            if frame.index == warm_up:
                meter = _CoreMeter(cores)
            key()
        return meter.seconds / count, meter.busy


class _CoreMeter:
    """Wall clock and processor time since its creation."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._began, self._processor = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @property
    def busy(self) -> float:
        """Share of the cores that this process kept busy."""
        return (time.process_time() - self._processor) / (self.seconds * self._cores)


def describe(report: dict[str, Any]) -> str:
    """The report as a few lines of text."""
    lines = [f"{report['fps']:.1f} fps at {report['size']}: {report['setup']}"]
    if report["workers_fps"] is not None:
        lines.append(f"{report['workers_fps']:.1f} fps with {report['workers']} frames at the same time")
    lines += [f"  {stage:<12}{spent:9.2f} ms" for stage, spent in report["milliseconds"].items()]
    lines.append(f"  {'plate fit':<12}{1000 * report['plate_fit_seconds']:9.2f} ms, once")
    lines.append(f"  {'first frame':<12}{1000 * report['first_frame_seconds']:9.2f} ms, with loading and fit")
    if report["peak_memory_mb"] is not None:
        lines.append(f"  {'peak memory':<12}{report['peak_memory_mb']:9.0f} MB")
    in_flight = report["frames_in_flight_mb"]
    lines.append(f"  {'in flight':<12}{in_flight:9.0f} MB at most, of the frames of `video` on their way")
    if report["limits"] is not None:
        from cleanplate.cli.commands.bench_limits import describe_limits

        lines += describe_limits(report["limits"])
    return "\n".join(lines)


def peak_memory_mb() -> float | None:
    """Peak memory of this process; None if the system gives no figure."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3

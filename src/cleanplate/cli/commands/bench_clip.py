"""``cleanplate bench --end-to-end CLIP``: the real pipeline, with the work of each stage and of the cores."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cleanplate import __version__
from cleanplate.jobs.clip_run import run_job
from cleanplate.jobs.job import Job
from cleanplate.jobs.pipeline import Progress
from cleanplate.system.cores import usable_cores
from cleanplate.vocabulary import KeyerOptions

RESULT = "cut.mov"
"""ProRes 4444, the usual result."""


def measure_clip(
    clip: Path, plate: str, options: KeyerOptions, workers: int | str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Key a clip into a temporary file as ``cleanplate video`` does.

    Args:
        clip: The clip.
        plate: As of :class:`cleanplate.jobs.Job`.
        options: Options of the keyer.
        workers: As of :class:`cleanplate.jobs.Job`.
        say: Receives the progress.

    Returns:
        Frames, seconds, ``cores_busy``: processor time over the time of all cores, and ``stages``: of each
        its threads, ``busy``, the share of the run in which they did not wait for other stages, and
        processor milliseconds of a frame, without threads that a codec or a network starts.

    Raises:
        CleanplateError: As of :func:`cleanplate.jobs.run_job`.
    """

    def show(progress: Progress) -> None:
        say(f"{progress.doing}, frame {progress.frames}")

    with tempfile.TemporaryDirectory(prefix="cleanplate-bench-") as folder:
        job = Job(clip, plate, Path(folder) / RESULT, keyer=options, workers=workers)
        summary = run_job(job, on_progress=show, on_note=lambda _: None)
    return {
        "clip": clip.name,
        "fps": summary.frames / summary.seconds,
        "frames": summary.frames,
        "seconds": summary.seconds,
        "processor_milliseconds": 1000 * summary.processor_seconds / summary.frames,
        "cpu_count": usable_cores(),
        "cores_busy": summary.processor_seconds / (summary.seconds * usable_cores()),
        "stages": [
            {
                "name": load.name,
                "threads": load.threads,
                "busy": load.busy_seconds / (summary.seconds * load.threads),
                "processor_milliseconds": 1000 * load.processor_seconds / summary.frames,
            }
            for load in summary.loads
        ],
        "version": __version__,
    }


def describe_clip(report: dict[str, Any]) -> str:
    """The report as a few lines of text."""
    lines = [
        f"{report['fps']:.1f} fps, {report['frames']} frames of {report['clip']} into {RESULT}",
        f"{report['cores_busy']:.0%} of {report['cpu_count']} cores busy, "
        f"{report['processor_milliseconds']:.1f} ms of processor time a frame in all threads",
        f"  {'stage':<20}{'busy':>8}{'processor ms a frame':>24}",
    ]
    lines += [
        f"  {stage['name']:<20}{stage['busy']:>8.0%}{stage['processor_milliseconds']:>24.1f}"
        for stage in report["stages"]
    ]
    return "\n".join(lines)

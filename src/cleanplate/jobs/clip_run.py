"""Run of a job: the clip as a whole, or in spans."""

from __future__ import annotations

from collections.abc import Callable

from cleanplate.jobs.job import Job
from cleanplate.jobs.pipeline import Progress, Summary
from cleanplate.jobs.split_run import run_in_spans
from cleanplate.jobs.video_run import run_whole


def run_job(
    job: Job,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None],
) -> Summary:
    """Key the clip of a job into its results.

    Args:
        job: The job; with ``split_seconds``, its spans are keyed one after the other in this process.
        on_progress: Called about ten times a second, in this thread.
        on_note: Receives notes for the user, in sentences, in this thread.

    Raises:
        CleanplateError, KeyboardInterrupt: As :func:`cleanplate.matte_video`.
    """
    run = run_whole if job.split_seconds is None else run_in_spans
    return run(job, on_progress=on_progress, on_note=on_note)

"""Jobs: a photo or a clip from its options to its results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.jobs.clip_run import run_job
    from cleanplate.jobs.job import AUTO_PLATE, FILES, NO_PLATE, Job, is_word

__all__ = ["AUTO_PLATE", "FILES", "NO_PLATE", "Job", "is_word", "run_job"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "AUTO_PLATE": "job",
            "FILES": "job",
            "NO_PLATE": "job",
            "Job": "job",
            "is_word": "job",
            "run_job": "clip_run",
        },
    )

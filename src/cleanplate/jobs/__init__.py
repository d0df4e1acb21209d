"""One clip keyed into its results: everything opened, run, and closed again in the right order."""

from cleanplate.jobs.job import AUTO_PLATE, FILES, NO_PLATE, VideoJob, is_word
from cleanplate.jobs.video_run import run_job

__all__ = ["AUTO_PLATE", "FILES", "NO_PLATE", "VideoJob", "is_word", "run_job"]

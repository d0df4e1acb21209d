"""One clip keyed into its results: everything opened, run, and closed again in the right order."""

from cleanplate.video_job.job import AUTO_PLATE, FILES, NO_PLATE, VideoJob, is_word
from cleanplate.video_job.run import run_job

__all__ = ["AUTO_PLATE", "FILES", "NO_PLATE", "VideoJob", "is_word", "run_job"]

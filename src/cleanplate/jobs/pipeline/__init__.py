"""The pipeline of a job, with its threads: decode, key, composite and encode at the same time."""

from cleanplate.jobs.pipeline.checkpointing import Saving
from cleanplate.jobs.pipeline.frame_memory import bytes_in_flight
from cleanplate.jobs.pipeline.keying import CHAIN, Workers
from cleanplate.jobs.pipeline.ordered import map_ordered
from cleanplate.jobs.pipeline.pipeline import COMPOSITING, Fetch, Output, Render, Summary, close_sinks, run
from cleanplate.jobs.pipeline.progress import Progress
from cleanplate.jobs.pipeline.stages import PROGRESS_SECONDS, QUEUE_DEPTH, Load, do_aside
from cleanplate.jobs.pipeline.trace import Trace
from cleanplate.jobs.pipeline.worker_count import choose_compositors, choose_workers, remind_of_memory

__all__ = [
    "CHAIN",
    "COMPOSITING",
    "PROGRESS_SECONDS",
    "QUEUE_DEPTH",
    "Fetch",
    "Load",
    "Output",
    "Progress",
    "Render",
    "Saving",
    "Summary",
    "Trace",
    "Workers",
    "bytes_in_flight",
    "choose_compositors",
    "choose_workers",
    "close_sinks",
    "do_aside",
    "map_ordered",
    "remind_of_memory",
    "run",
]

"""The only room with threads: decode, key, composite and encode at the same time."""

from cleanplate.pipeline.memory import bytes_in_flight
from cleanplate.pipeline.ordered import map_ordered
from cleanplate.pipeline.progress import Progress
from cleanplate.pipeline.run import Fetch, Output, Render, Summary, close_sinks, run
from cleanplate.pipeline.saving import Saving
from cleanplate.pipeline.stages import PROGRESS_SECONDS, QUEUE_DEPTH, do_aside

__all__ = [
    "PROGRESS_SECONDS",
    "QUEUE_DEPTH",
    "Fetch",
    "Output",
    "Progress",
    "Render",
    "Saving",
    "Summary",
    "bytes_in_flight",
    "close_sinks",
    "do_aside",
    "map_ordered",
    "run",
]

"""Checkpoint of an interrupted job: its fingerprint, its progress and the keyer's state."""

from cleanplate.jobs.checkpoint.checkpointer import Keeping, Remembering
from cleanplate.jobs.checkpoint.fingerprint import Fingerprint, fingerprint, versions_of
from cleanplate.jobs.checkpoint.record import Checkpoint, DamagedError, Moment, NoWork, Work
from cleanplate.jobs.checkpoint.resume import begin, find_damaged, is_begun, is_done
from cleanplate.jobs.checkpoint.span_files import (
    Mark,
    SpanFiles,
    SpanPlan,
    SpanRecord,
    clear_spans,
    span_path,
)

__all__ = [
    "Checkpoint",
    "DamagedError",
    "Fingerprint",
    "Keeping",
    "Mark",
    "Moment",
    "NoWork",
    "Remembering",
    "SpanFiles",
    "SpanPlan",
    "SpanRecord",
    "Work",
    "begin",
    "clear_spans",
    "find_damaged",
    "fingerprint",
    "is_begun",
    "is_done",
    "span_path",
    "versions_of",
]

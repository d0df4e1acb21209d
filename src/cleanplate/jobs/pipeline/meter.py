"""Measures the work that several threads share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from cleanplate.jobs.pipeline.stages import Load
from cleanplate.jobs.pipeline.trace import Trace, trace_span


class StageMeter:
    """Adds up the time that several threads spend in the same work.

    Args:
        name: Name of the work in a trace.
        trace: Records each measured block.
    """

    def __init__(self, name: str, trace: Trace | None = None) -> None:
        self.name, self.trace = name, trace
        self._seconds = self._processor_seconds = 0.0
        self._lock = Lock()

    def load(self, name: str, threads: int) -> Load:
        """The work so far, of this number of threads."""
        return Load(name, threads, self._seconds, self._processor_seconds)

    @contextmanager
    def measure(self, index: int) -> Iterator[None]:
        """Count the block, the work on the frame of this index."""
        began, processor = time.perf_counter(), time.thread_time()
        try:
            with trace_span(self.trace, self.name, index):
                yield
        finally:
            seconds, processor_seconds = time.perf_counter() - began, time.thread_time() - processor
            with self._lock:
                self._seconds += seconds
                self._processor_seconds += processor_seconds

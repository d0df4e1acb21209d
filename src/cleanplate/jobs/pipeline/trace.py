"""Trace of a run in Chrome's format, for chrome://tracing, https://ui.perfetto.dev and other viewers."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cleanplate.media.files import check_writable, reporting_write_errors
from cleanplate.system.temporary_files import claim_partial, move_into_place


class Trace:
    """Writes the work of each thread as it ends: name, frame, begin and duration.

    The file is written under a temporary name, event by event, so that memory does not grow with the clip.

    Args:
        path: The file.
        overwrite: Replace an existing one.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        check_writable(path, overwrite=overwrite)
        self._path, self._overwrite = path, overwrite
        self._began = time.perf_counter()
        self._lock = threading.Lock()
        self._known: set[int] = set()
        with reporting_write_errors(path):
            self._partial = claim_partial(path)
            self._file: IO[str] = self._partial.open("w", encoding="utf-8")
            self._file.write('{"displayTimeUnit": "ms", "traceEvents": [')

    @contextmanager
    def span(self, name: str, frame: int | None = None) -> Iterator[None]:
        """Record the block as an event of the calling thread."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._add(name, frame, began, time.perf_counter())

    def _add(self, name: str, frame: int | None, began: float, ended: float) -> None:
        thread = threading.current_thread()
        event = {
            "name": name,
            "ph": "X",
            "ts": round(1e6 * (began - self._began), 1),
            "dur": round(1e6 * (ended - began), 1),
            "args": {} if frame is None else {"frame": frame},
        }
        with self._lock:
            if self._file.closed:
                return
            if thread.native_id not in self._known:
                self._write({"name": "thread_name", "ph": "M", "args": {"name": thread.name}})
                self._known.add(thread.native_id or 0)
            self._write(event)

    def _write(self, event: dict[str, Any]) -> None:
        event |= {"pid": 1, "tid": threading.get_native_id()}
        with reporting_write_errors(self._path):
            self._file.write(("," if self._known else "") + "\n" + json.dumps(event))

    def close(self) -> None:
        """Finish the file, also that of an interrupted run, and move it into place.

        Raises:
            OutputError: It cannot be written.
        """
        with reporting_write_errors(self._path), self._lock, self._file:
            self._file.write("\n]}\n")
        with reporting_write_errors(self._path):
            move_into_place(self._partial, self._path, overwrite=self._overwrite)


def trace_span(
    trace: Trace | None, name: str, frame: int | None = None
) -> contextlib.AbstractContextManager[None]:
    """The span of a trace; nothing without one."""
    return contextlib.nullcontext() if trace is None else trace.span(name, frame)

"""Record of a row's end beside its result: ``.cut.mov.status.json``, so that a later run skips finished rows.

::

    {"format": "cleanplate-status-1", "state": "done", "job": {...},
     "results": [["/out/cut.mov", 1234, 5678]], "frames": 240, "seconds": 31.5, "report": null,
     "message": "", "hint": "", "host": "node7", "time": 1.8e9}

``job`` is the fingerprint of the options and inputs, as they were when the run began. The state is ``begun``,
``done`` or ``failed``. A done row counts as long as fingerprint and results are unchanged. Only rows of a
manifest, and clips in spans, have a record.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from cleanplate.errors import CleanplateError, OptionError
from cleanplate.jobs.checkpoint import (
    DamagedError,
    Fingerprint,
    SpanFiles,
    Work,
    fingerprint,
    versions_of,
)
from cleanplate.jobs.checkpoint.fingerprint import describe_file, find_differences
from cleanplate.jobs.checkpoint.resume import is_there
from cleanplate.jobs.job import Job
from cleanplate.jobs.plan import describe_configuration, list_fields
from cleanplate.media.locks import find_owner
from cleanplate.models.registry import find_model
from cleanplate.runtimes.model_choice import name_model
from cleanplate.system.pipes import is_pipe
from cleanplate.system.temporary_files import temporary_file

FORMAT = "cleanplate-status-1"

_BEGINNING = b'{"format": "cleanplate-status-'

STATES = ("done", "running", "waiting", "interrupted", "failed", "outdated", "missing")
"""States of a row, for :func:`find_state`."""


@dataclass(frozen=True)
class Completion:
    """Record of a row.

    Attributes:
        state: ``begun``, ``done`` or ``failed``.
        job: Fingerprint of options and inputs.
        results: Path, size and time of each result of a done row.
        frames: Frames of the results.
        seconds: Duration of the run.
        report: Path of the report; None without one.
        message: Reason of a failure.
        hint: Remedy of a failure.
        host: Machine of the run.
        time: Time of the record, in seconds since 1970.
    """

    state: str
    job: Fingerprint
    results: Sequence[object] = ()
    frames: int = 0
    seconds: float = 0.0
    report: str | None = None
    message: str = ""
    hint: str = ""
    host: str = field(default_factory=platform.node)
    time: float = field(default_factory=time.time)

    def check(self) -> None:
        """Raise ValueError for values that no run writes, as in a damaged record."""
        numbers = type(self.frames) is int and all(type(n) in (int, float) for n in (self.seconds, self.time))
        texts = all(type(text) is str for text in (self.message, self.hint, self.host))
        if not (numbers and texts and isinstance(self.job, dict)):
            raise ValueError("no record of a row")
        if self.state not in ("begun", "done", "failed"):
            raise ValueError(f"expected a state, got {self.state!r}")


@dataclass(frozen=True)
class RowState:
    """State of a row, one of :data:`STATES`, with its detail for users."""

    state: str
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def record_path(result: Path) -> Path:
    """Path of the record of the row whose first result this is."""
    return result.with_name(f".{result.name}.status.json")


def describe_row(job: Job, results: Sequence[Path]) -> Fingerprint:
    """Fingerprint of a row from its options and the files that they name, without opening any.

    Raises:
        OptionError: A part is an object that cannot be identified in another process.
    """
    parts = list_fields(job)
    parts["keyer"] = replace(job.keyer, model="", threads=None, on_device=None)
    parts["model"] = _identify_model(str(name_model(job.keyer)))
    parts["plate"] = job.plate
    parts["layers"] = None if job.save is None else list(job.save)
    parts["results"] = [str(path.resolve()) for path in results]
    parts["version"] = versions_of("cleanplate")
    parts["OCIO_configuration"] = describe_configuration(job)
    return fingerprint(parts)


@cache
def _identify_model(name: str) -> list[str]:
    """Hashes of a model's files; its name if there is no such model."""
    try:
        return [str(value) for value in fingerprint({"model": find_model(name)}).values()]
    except CleanplateError:
        return [name]


class RowRecord:
    """The record of one row during its run.

    Args:
        job: The row's job.
        results: All files that it writes.
    """

    def __init__(self, job: Job, results: Sequence[Path]) -> None:
        self._job, self._results = job, results
        self._before = read_record(results[0]) if results else None
        self._described: Fingerprint | None = None
        self._began = time.time()

    def begin(self) -> None:
        """Write that the row has begun, with the fingerprint of its inputs at this moment."""
        if not self._results or any(map(is_pipe, (self._job.clip, *self._results))):
            return
        with contextlib.suppress(OptionError):
            self._described = describe_row(self._job, self._results)
        known = self._before is not None and self._before.job == self._described
        if self._described is not None and not (known and self._before and self._before.state == "begun"):
            write_record(self._results[0], Completion("begun", self._described))

    def finish(self, frames: int, seconds: float) -> None:
        """Write that the row is done.

        A run with ``resume`` may find results in their places: they count if this row has written them.
        """
        ours = frames > 0 or (
            self._before is not None
            and self._before.state == "begun"
            and self._before.job == self._described
            and all(_modified(path) >= self._before.time - 1 for path in self._results)
        )
        if self._described is not None and ours:
            report = None if self._job.report is None else os.fspath(self._job.report)
            done = [describe_file(path) for path in self._results]
            write_record(
                self._results[0],
                Completion("done", self._described, done, frames, round(seconds, 3), report),
            )

    def fail(self, error: CleanplateError) -> None:
        """Write the reason why the row has failed."""
        if self._described is not None:
            failed = Completion("failed", self._described, message=error.message, hint=error.hint)
            write_record(self._results[0], failed)


def read_record(result: Path) -> Completion | None:
    """Read a record; None without one, or if it is damaged or of another version."""
    try:
        entries = json.loads(record_path(result).read_text(encoding="utf-8"))
        if entries.pop("format") != FORMAT:
            return None
        found = Completion(**entries)
        found.check()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return found


def write_record(result: Path, record: Completion) -> None:
    """Replace a record. A folder that is missing or read-only gets none: the row then tells its own error.

    A file of this name that is no record is left alone.
    """
    path = record_path(result)
    if path.is_symlink() or not _is_ours(path):
        return
    with contextlib.suppress(OSError), temporary_file(path) as partial:
        partial.write_text(json.dumps({"format": FORMAT, **asdict(record)}), encoding="utf-8")
        partial.replace(path)


def _is_ours(path: Path) -> bool:
    """Tell whether a file is a record, damaged ones included, or is missing or empty."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return not start or start.startswith(_BEGINNING)


def find_state(job: Job, results: Sequence[Path]) -> RowState:
    """State of a row: from its record, its lock, its checkpoint and its results."""
    first = results[0]
    record = read_record(first)
    described = _try_to_describe(job, results)
    if record is not None and record.state == "done" and _is_current(record, described, results):
        facts = {"frames": record.frames, "seconds": record.seconds, "host": record.host}
        return RowState("done", f"{record.frames} frames in {record.seconds:.0f} s on {record.host}", facts)
    work = Work(first)
    spans = SpanFiles(first).count()
    frames = spans.frames
    with contextlib.suppress(DamagedError):
        begun = work.read()
        frames = max(frames, 0 if begun is None else begun.frames)
    keyed = (
        f"{frames} of {spans.of} frames, {spans.done} of {spans.spans} spans"
        if spans.of
        else f"{frames} frames"
    )
    share = {"frames": frames, "of": spans.of, "spans": spans.spans, "spans_done": spans.done}
    share = share if spans.of else {"frames": frames}
    owner = find_owner(first)
    failed = record is not None and record.state == "failed" and record.job == described
    if owner is not None and (work.is_begun or not failed):
        whose = f"process {owner.pid} on {owner.host}, since {owner.since}"
        facts = {**share, "pid": owner.pid, "host": owner.host, "since": owner.since}
        if work.is_begun:
            return RowState("running", f"{keyed}; {whose}", facts)
        return RowState("waiting", whose, facts)
    if failed and record is not None:
        return RowState("failed", record.message, {"hint": record.hint, "host": record.host})
    if frames:
        return RowState("interrupted", f"{keyed} are done; continue with --resume", share)
    if not any(map(is_there, results)):
        return RowState("missing")
    return RowState("outdated", _explain_change(record, described, results))


def is_complete(job: Job, results: Sequence[Path]) -> bool:
    """Tell whether a row is done, and nothing has changed since."""
    record = read_record(results[0]) if results else None
    if record is None or record.state != "done":
        return False
    return _is_current(record, _try_to_describe(job, results), results)


def _try_to_describe(job: Job, results: Sequence[Path]) -> Fingerprint | None:
    with contextlib.suppress(OptionError):
        return describe_row(job, results)
    return None


def _is_current(record: Completion, described: Fingerprint | None, results: Sequence[Path]) -> bool:
    return record.job == described and _as_json([describe_file(path) for path in results]) == _as_json(
        record.results
    )


def _explain_change(record: Completion | None, described: Fingerprint | None, results: Sequence[Path]) -> str:
    if record is None or record.state != "done" or described is None:
        return f"{results[0].name} exists, without a record of a finished run"
    if differences := find_differences(record.job, described):
        return f"made with another {', '.join(differences)}"
    return "a result has changed, or is gone"


def _as_json(value: object) -> str:
    return json.dumps(value)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # a pattern of numbered pictures
        return float("inf")

"""A clip's job: the row of a manifest with one clip, run in a process of its own and always resumable."""

from __future__ import annotations

import json
import threading
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cleanplate.cli.executors.executor import RowWork
from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.manifest_run import run_locally
from cleanplate.cli.option_arguments import make_job
from cleanplate.cli.reporter import Reporter
from cleanplate.cli.service.job_store import JobRecord, Store
from cleanplate.cli.service.query import make_arguments
from cleanplate.cli.service.refusals import NO_ROOM, Refusal, hide_paths, is_full, refusal_of, spell_hint
from cleanplate.errors import CleanplateError, OutputError
from cleanplate.jobs.job import NO_PLATE

LOCK_SECONDS = 60.0
"""Time to wait for the process of a killed service, which ends when it next reports."""

_TAIL_BYTES = 1 << 20
_TAIL = b'],\n "mean_confidence"'
_NO_ROOM_SIGNS = ("no space left", "quota exceeded", "file too large")


class StopClip(Exception):  # noqa: N818 - a request
    """The job is cancelled, or the service stops."""


class JobReporter(Reporter):
    """Receives the output of a job's process for its record.

    Args:
        record: The job's.
        names: The client's names of its files.
        check: Raises :class:`StopClip` or :class:`Refusal` when the job has to end; called once a second.
    """

    def __init__(self, record: JobRecord, names: dict[str, str], check: Callable[[], None]) -> None:
        super().__init__(quiet=True)
        self._record, self._names, self._check = record, names, check

    def result(self, text: str, **facts: Any) -> None:
        """Nothing: the record has the results."""

    def note(self, text: str, **facts: Any) -> None:  # noqa: ARG002
        note = hide_paths(text.removeprefix(f"{self._record.names['source']}: "), self._names)
        if note not in self._record.notes:
            self._record.notes.append(note)
            self._record.version += 1

    def done(self, text: str, **facts: Any) -> None:  # noqa: ARG002
        """Keep the number of frames."""
        if "frames" in facts:
            self._record.frames, self._record.resumed_frames = facts["frames"], facts["resumed"]

    def error(self, error: CleanplateError, **facts: Any) -> None:  # noqa: ARG002
        name = self._record.names["source"]
        message = hide_paths(error.message.removeprefix(f"Row 1 ({name}): "), self._names)
        if any(sign in message.lower() for sign in _NO_ROOM_SIGNS):
            message = NO_ROOM
        self._record.error = {"message": message, "hint": spell_hint(error.hint, self._names)}

    def progress(self, text: str, **facts: Any) -> None:  # noqa: ARG002
        for clip in facts.get("running", ()):
            found = {name: value for name, value in clip.items() if name not in ("row", "clip")}
            if found and found != self._record.progress:
                self._record.progress = found
                self._record.version += 1
        self._check()


def key_with_threads(
    work: RowWork, most: int, arguments: Namespace, reporter: Reporter, _: int | None
) -> None:
    """Key a clip with a share of the cores."""
    work(arguments, reporter, most)


def arguments_of(record: JobRecord, folder: Path) -> Namespace:
    """Arguments of a job, as the command line would have parsed them."""
    files = {field: folder / name for field, name in record.files.items()}
    has_plate = "plate" in files or record.plate not in (None, NO_PLATE)
    return make_arguments(
        record.words,
        files,
        record.plate,
        video=True,
        output=str(folder / f"result{record.format}"),
        report=folder / "report.json" if has_plate else None,
        resume=True,
        overwrite=False,
    )


def plan_clip(record: JobRecord, folder: Path) -> dict[str, str]:
    """Check the options of a job against each other; returns the name of each layer's file.

    Raises:
        CleanplateError: They do not fit.
    """
    from cleanplate.jobs.naming import VIDEO_SUFFIXES
    from cleanplate.jobs.plan import plan_results

    planned = plan_results(make_job(arguments_of(record, folder)), VIDEO_SUFFIXES)
    return {layer: path.name for layer, path in planned.items()}


def names_of(record: JobRecord, folder: Path) -> dict[str, str]:
    """The name of each path of a job for the client."""
    results = {str(folder / name): name for name in record.results.values()}
    return results | {str(folder / name): record.names[field] for field, name in record.files.items()}


def run_clip(
    record: JobRecord,
    store: Store,
    work: RowWork,
    threads: int,
    cancelled: threading.Event,
    stopping: threading.Event,
) -> None:
    """Run a job to its end, to its cancellation, or to the end of the service.

    Args:
        record: The job's.
        store: Its store.
        work: Function of the command line that keys a clip.
        threads: CPU threads of its network.
        cancelled: Set when the client cancels the job.
        stopping: Set when the service stops: the job then waits for the next one.
    """
    folder = store.folder_of("jobs", record.id)

    def check() -> None:
        if cancelled.is_set() or stopping.is_set():
            raise StopClip
        if record.progress.get("doing") == "keying" and record.progress.get("frames", 0) > record.most_frames:
            raise Refusal(413, "The clip is longer than its file tells, and longer than the service takes.")

    try:
        record.state, record.started = "running", record.started or time.time()
        store.save(record)
        _run(record, folder, partial(key_with_threads, work, threads), check)
        record.state = "done" if record.error is None else "failed"
    except StopClip:
        record.state = "cancelled" if cancelled.is_set() else "queued"
    except (Refusal, CleanplateError) as error:
        refusal = error if isinstance(error, Refusal) else refusal_of(error, names_of(record, folder))
        record.state, record.error = "failed", {"message": refusal.message, "hint": refusal.hint}
    except BaseException as error:
        message = NO_ROOM if is_full(error) else "The service failed."
        record.state, record.error = "failed", {"message": message, "hint": ""}
        raise
    finally:
        _conclude(record, store, folder)


def _run(record: JobRecord, folder: Path, work: RowWork, check: Callable[[], None]) -> None:
    arguments = arguments_of(record, folder)
    reporter = JobReporter(record, names_of(record, folder), check)
    results = (*(folder / name for name in record.results.values()), folder / "report.json")
    row = ManifestRow(1, record.names["source"], arguments, results)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        check()
        try:
            run_locally([row], work, 1, reporter)
            return
        except OutputError:  # the process of a service that was killed still has the lock
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _conclude(record: JobRecord, store: Store, folder: Path) -> None:
    record.progress = {}
    if record.state == "done":
        record.report = read_summary(folder / "report.json")
    if record.state != "queued":
        record.finished = time.time()
    store.save(record)
    if record.state == "cancelled":
        store.remove_files(record)


def read_summary(report: Path) -> dict[str, Any] | None:
    """The end of a report, without its frames; None if there is none."""
    try:
        with report.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            _, found, rest = file.read().rpartition(_TAIL)
        summary: dict[str, Any] | None = json.loads(b'{"mean_confidence"' + rest) if found else None
    except (OSError, ValueError):
        return None
    return summary

"""Processes of this machine as an executor."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from cleanplate.cli.executors.executor import EventReporter, RowEvent, RowWork
from cleanplate.cli.manifest import ManifestRow
from cleanplate.errors import CleanplateError, OptionError, command_line_hints
from cleanplate.system.allocator import keep_freed_memory
from cleanplate.system.cores import usable_cores
from cleanplate.system.system_errors import explaining_system_errors

EXIT_SECONDS = 30.0
"""Time for a process to exit after it has closed its pipe: a library may hang there, with all results done.
Chosen, not measured: an exit takes well under a second."""


@dataclass
class _Running:
    """A row whose process is running."""

    row: int
    process: Any
    events: Connection
    has_error: bool = False
    is_done: bool = False


class LocalProcesses:
    """Executor whose rows run on this machine, which shares its cores among them.

    Args:
        work: Function that keys a row.
        jobs: Number of rows at the same time; one if None.

    Raises:
        OptionError: ``jobs`` is below 1.
    """

    def __init__(self, work: RowWork, jobs: int | None) -> None:
        self.slots = 1 if jobs is None else jobs
        if self.slots < 1:
            raise OptionError(f"Expected --jobs of at least 1, got {jobs}.")
        self._work = work
        self._threads = None if self.slots == 1 else max(1, usable_cores() // self.slots)
        self._running: list[_Running] = []

    def submit(self, row: ManifestRow, arguments: Namespace, token: str) -> None:
        """Start the process of a row."""
        self._running.append(start_process(row.number, arguments, self._work, self._threads, token))

    def hear(self) -> Iterator[RowEvent]:
        """Tell one event of each process that has one, after a wait of a second at most."""
        by_pipe = {run.events: run for run in self._running}
        for pipe in wait(list(by_pipe), timeout=1):
            run = by_pipe[pipe]  # type: ignore[index]
            try:
                kind, text, facts = run.events.recv()
            except (EOFError, OSError):  # OSError: it was killed in the middle of a message
                self._running.remove(run)
                yield _end(run)
                continue
            run.has_error |= kind == "error"
            run.is_done |= kind == "done"
            yield RowEvent(run.row, kind, text, facts)

    def cancel(self) -> None:
        """End the processes as Ctrl-C would, and wait for them."""
        end_processes(self._running)
        self._running.clear()

    def close(self) -> None:
        """Do nothing: a process ends with its row."""


def prepare_process() -> None:
    """Prepare a process that keys a clip, before it has threads."""
    keep_freed_memory(share_among_threads=True)
    # Service managers send this signal; the process ends as cleanly as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def start_process(row: int, arguments: Namespace, work: RowWork, threads: int | None, token: str) -> _Running:
    """Start the process of a row."""
    # A fork would copy the locks of threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    events, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work_alone, args=(work, arguments, threads, theirs, token))
    process.start()
    theirs.close()
    return _Running(row, process, events)


def _work_alone(
    work: RowWork, arguments: Namespace, threads: int | None, events: Connection, token: str
) -> None:
    """Key one clip in its own process, with the exit code of a single clip."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # The parent process receives Ctrl-C and passes it on once.
        # A terminal with "stty tostop" stops background groups that write to it, and the manifest would wait.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    prepare_process()
    reporter = EventReporter(events.send)
    try:
        from cleanplate.media.locks import adopt

        adopt(token)
        with command_line_hints(), explaining_system_errors():
            work(arguments, reporter, threads)
    except CleanplateError as error:
        reporter.error(error)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, BrokenPipeError):  # the pipe breaks when nobody listens any more
        raise SystemExit(130) from None


def _end(run: _Running) -> RowEvent:
    """Wait for a process whose output has ended; the row's last event."""
    hung = _wait_for_exit(run)
    run.events.close()
    if run.has_error or run.process.exitcode == 0 or (hung and run.is_done):
        return RowEvent(run.row, "ended")
    text = f"Its process ended unexpectedly (code {run.process.exitcode})."
    return RowEvent(run.row, "lost", text, {"hint": "run this clip alone to see more"})


def end_processes(running: Sequence[_Running]) -> None:
    """End processes as Ctrl-C would, and wait for them."""
    for run in running:
        run.process.terminate()  # SIGTERM, handled like Ctrl-C, because SIGINT may be ignored
    for run in running:
        _drain(run)
        _wait_for_exit(run)


def _wait_for_exit(run: _Running) -> bool:
    """Wait for a process that has closed its pipe; kill one that hangs at its exit: then True."""
    run.process.join(EXIT_SECONDS)
    hung = run.process.exitcode is None
    if hung:
        run.process.kill()
        run.process.join()
    return hung


def _drain(run: _Running) -> None:
    """Read the rest of a process's output, because it would block forever on a full pipe."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            run.events.recv()

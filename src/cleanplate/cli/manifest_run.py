"""Run of a manifest: several clips at a time, each in its own process.

A clip that fails, or ends its process, does not affect the others.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError, OptionError, OutputError, command_line_hints
from cleanplate.system.allocator import keep_freed_memory
from cleanplate.system.cores import usable_cores
from cleanplate.system.system_errors import explaining_system_errors
from cleanplate.system.temporary_files import make_folder

Work = Callable[[Namespace, Reporter, int | None], object]
"""Function that keys the clip of these arguments with this number of threads; at the top of a module."""

_MOST_NAMED = 3

EXIT_SECONDS = 30.0
"""Time for a process to exit after it has closed its pipe: a library may hang there, with all results done.
Chosen, not measured: an exit takes well under a second."""


@dataclass
class _RunningRow:
    """A shot whose process is running."""

    shot: ManifestRow
    process: Any
    events: Connection
    progress: dict[str, Any] = field(default_factory=dict)
    error: CleanplateError | None = None
    is_done: bool = False


class _Wire(Reporter):
    """Sends the reporter's output to the parent process."""

    def __init__(self, events: Connection) -> None:
        super().__init__(quiet=True)
        self._events = events

    def result(self, text: str, **facts: Any) -> None:
        self._events.send(("result", text, facts))

    def note(self, text: str, **facts: Any) -> None:
        self._events.send(("note", text, facts))

    def done(self, text: str, **facts: Any) -> None:
        self._events.send(("done", text, facts))

    def error(self, error: CleanplateError, **facts: Any) -> None:
        self._events.send(("error", error.message, {**facts, "hint": error.hint}))

    def progress(self, text: str, **facts: Any) -> None:
        self._events.send(("progress", text, facts))


def run_shots(shots: Sequence[ManifestRow], work: Work, jobs: int | None, reporter: Reporter) -> int:
    """Key all shots; returns 0, or 2 if any of them fails.

    Args:
        shots: The rows of a manifest.
        work: Function that keys one.
        jobs: Number of clips at the same time; one if None.
        reporter: Receives the results of every clip, and a summary at the end.

    Raises:
        OptionError: ``jobs`` is below 1.
        OutputError: Another run is writing one of the results.
        KeyboardInterrupt: Ctrl-C; every running clip has ended as it would alone.
    """
    from cleanplate.media.locks import lock_outputs

    jobs = 1 if jobs is None else jobs
    if jobs < 1:
        raise OptionError(f"Expected --jobs of at least 1, got {jobs}.")
    failures: dict[int, CleanplateError] = {}
    running: list[_RunningRow] = []
    waiting = deque(shots)
    already = 0
    threads = None if jobs == 1 else max(1, usable_cores() // jobs)

    def fail(shot: ManifestRow, error: CleanplateError) -> None:
        failures[shot.row] = error
        named = CleanplateError(f"Row {shot.row} ({shot.name or 'no clip'}): {error.message}", error.hint)
        reporter.error(named, row=shot.row, clip=shot.name)

    locks = contextlib.ExitStack()
    try:
        # All results are locked during the whole manifest, also those of later rows.
        results = [path for shot in shots for path in shot.results]
        for folder in {path.parent for path in results}:
            with contextlib.suppress(OutputError):
                make_folder(folder)
        token = locks.enter_context(lock_outputs(results, beats=True))
        heart = _Heart(results, token)
        while waiting or running:
            while waiting and len(running) < jobs:
                shot = waiting.popleft()
                if isinstance(shot.arguments, CleanplateError):
                    fail(shot, shot.arguments)
                elif _is_done_already(shot):
                    already += 1
                else:
                    running.append(_start(shot, shot.arguments, work, threads, token))
            for run in _hear(running, reporter):
                running.remove(run)
                error = _end(run)
                if error is not None:
                    _record_failure(run, error)
                    fail(run.shot, error)
            heart.tick()
            _show(running, len(shots) - len(waiting) - len(running), len(shots), reporter)
    except BaseException:
        _interrupt(running)
        raise
    finally:
        locks.close()
    return _tell_end(len(shots), already, failures, reporter)


class _Heart:
    """Shows other machines that this process runs and holds its locks."""

    def __init__(self, results: Sequence[Path], token: str) -> None:
        from cleanplate.media.locks import is_held

        self._token = token
        # In a folder that cannot be made, nothing is locked: the row's own process tells the error.
        self._results = [path for path in results if is_held(path, token)]
        self._beaten = time.monotonic()

    def tick(self) -> None:
        """Beat if it is time.

        Raises:
            OutputError: Another run has taken a lock over.
        """
        from cleanplate.media.locks import BEAT_SECONDS, beat

        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            self._beaten = time.monotonic()
            beat(self._results, self._token)


def _tell_end(count: int, already: int, failures: Mapping[int, CleanplateError], reporter: Reporter) -> int:
    """Tell how many clips are done; returns the exit code."""
    done = count - len(failures)
    before = f", {already} of them before" if already else ""
    rows = ", ".join(map(str, sorted(failures)))
    ending = f"; {len(failures)} failed: row{'s' * (len(failures) > 1)} {rows}." if failures else "."
    reporter.done(
        f"{done} of {count} clips are done{before}{ending}",
        clips=count,
        done_before=already,
        failed_rows=sorted(failures),
    )
    return 2 if failures else 0


def _is_done_already(shot: ManifestRow) -> bool:
    """Tell whether an earlier run has done the row, and neither its inputs nor its results have changed."""
    from cleanplate.cli.options import make_job
    from cleanplate.jobs.completion import is_complete

    if isinstance(shot.arguments, CleanplateError) or not shot.results:
        return False
    return is_complete(make_job(shot.arguments), shot.results)


def _record_failure(run: _RunningRow, error: CleanplateError) -> None:
    """Record the failure of a process that was killed; others have recorded their own."""
    from cleanplate.cli.options import make_job
    from cleanplate.jobs.completion import RowRecord

    if run.error is None and run.shot.results and not isinstance(run.shot.arguments, CleanplateError):
        record = RowRecord(make_job(run.shot.arguments), run.shot.results)
        record.begin()
        record.fail(error)


def prepare_process() -> None:
    """Prepare a process that keys a clip, before it has threads."""
    keep_freed_memory(share_among_threads=True)
    # Service managers send this signal; the process ends as cleanly as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _start(
    shot: ManifestRow, arguments: Namespace, work: Work, threads: int | None, token: str
) -> _RunningRow:
    # A fork would copy the locks of threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    events, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work_alone, args=(work, arguments, threads, theirs, token))
    process.start()
    theirs.close()
    return _RunningRow(shot, process, events)


def _work_alone(
    work: Work, arguments: Namespace, threads: int | None, events: Connection, token: str
) -> None:
    """Key one clip in its own process, with the exit code of a single clip."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # The parent process receives Ctrl-C and passes it on once.
        # A terminal with "stty tostop" stops background groups that write to it, and the manifest would wait.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    prepare_process()
    wire = _Wire(events)
    try:
        from cleanplate.media.locks import adopt

        adopt(token)
        with command_line_hints(), explaining_system_errors():
            work(arguments, wire, threads)
    except CleanplateError as error:
        wire.error(error)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, BrokenPipeError):  # the pipe breaks when nobody listens any more
        raise SystemExit(130) from None


def _hear(running: Sequence[_RunningRow], reporter: Reporter) -> Iterator[_RunningRow]:
    """Pass on the output of the processes, after a short wait; returns the ended ones."""
    if not running:
        return
    by_pipe = {run.events: run for run in running}
    for pipe in wait(list(by_pipe), timeout=1):
        run = by_pipe[pipe]  # type: ignore[index]
        try:
            event, text, facts = run.events.recv()
        except (EOFError, OSError):  # OSError: it was killed in the middle of a message
            yield run
            continue
        whose = {"row": run.shot.row, "clip": run.shot.name}
        if event == "error":
            run.error = CleanplateError(text, facts["hint"])
        elif event == "progress":
            run.progress = facts
        elif event == "result":
            reporter.result(text, **whose, **facts)
        elif event == "note":
            reporter.note(f"{run.shot.name}: {text}", **whose, **facts)
        else:
            run.is_done = True
            reporter.done(f"{run.shot.name}: {text}", **whose, **facts)


def _end(run: _RunningRow) -> CleanplateError | None:
    """Wait for a process whose output has ended, and report its error."""
    hung = _wait_for_exit(run)
    run.events.close()
    if run.error is not None or run.process.exitcode == 0 or (hung and run.is_done):
        return run.error
    return CleanplateError(
        f"Its process ended unexpectedly (code {run.process.exitcode}).", "run this clip alone to see more"
    )


def _show(running: Sequence[_RunningRow], finished: int, total: int, reporter: Reporter) -> None:
    parts = [f"{finished} of {total} clips"]
    for run in running[:_MOST_NAMED]:
        frames, of = run.progress.get("frames"), run.progress.get("total")
        share = f"{frames / of:.0%}" if frames and of else f"frame {frames}" if frames else "starting"
        parts.append(f"{run.shot.name} {share}")
    clips = [{"row": run.shot.row, "clip": run.shot.name, **run.progress} for run in running]
    reporter.progress(", ".join(parts), finished=finished, of=total, running=clips)


def _interrupt(running: Sequence[_RunningRow]) -> None:
    """End the running processes as Ctrl-C would, and wait for them."""
    for run in running:
        run.process.terminate()  # SIGTERM, handled like Ctrl-C, because SIGINT may be ignored
    for run in running:
        _drain(run)
        _wait_for_exit(run)


def _wait_for_exit(run: _RunningRow) -> bool:
    """Wait for a process that has closed its pipe; kill one that hangs at its exit: then True."""
    run.process.join(EXIT_SECONDS)
    hung = run.process.exitcode is None
    if hung:
        run.process.kill()
        run.process.join()
    return hung


def _drain(run: _RunningRow) -> None:
    """Read the rest of a process's output, because it would block forever on a full pipe."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            run.events.recv()

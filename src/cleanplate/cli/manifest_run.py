"""Run of a manifest: hands rows to an executor, and reports their events.

A row that fails, or whose process ends, does not affect the others.
"""

from __future__ import annotations

import contextlib
import copy
import time
from argparse import Namespace
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cleanplate.cli.executors.executor import Executor, RowEvent, RowWork
from cleanplate.cli.executors.processes import LocalProcesses
from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError, OptionError, OutputError
from cleanplate.system.temporary_files import make_folder

_MOST_NAMED = 3


def run_shots(shots: Sequence[ManifestRow], work: RowWork, jobs: int | None, reporter: Reporter) -> int:
    """Key all shots in processes of this machine, as :func:`run_rows`; ``jobs`` is their number.

    Raises:
        OptionError: ``jobs`` is below 1.
        OutputError, KeyboardInterrupt: As :func:`run_rows`.
    """
    return run_rows(shots, LocalProcesses(work, jobs), reporter)


def run_rows(
    shots: Sequence[ManifestRow], executor: Executor, reporter: Reporter, max_retries: int = 0
) -> int:
    """Key all rows; returns 0, or 2 if any of them fails.

    Args:
        shots: The rows of a manifest.
        executor: Keys them.
        reporter: Receives the results of every row, and a summary at the end.
        max_retries: Number of times that a row is submitted again, with ``--resume``, after the death of its
            process or node.

    Raises:
        OptionError: ``max_retries`` is below 0.
        OutputError: Another run is writing one of the results.
        KeyboardInterrupt: Ctrl-C; every running row has ended as it would alone.
    """
    from cleanplate.media.locks import lock_outputs

    if max_retries < 0:
        raise OptionError(f"Expected --max-retries of at least 0, got {max_retries}.")
    locks = contextlib.ExitStack()
    try:
        # All results are locked during the whole manifest, also those of later rows.
        results = [path for shot in shots for path in shot.results]
        for folder in {path.parent for path in results}:
            with contextlib.suppress(OutputError):
                make_folder(folder)
        token = locks.enter_context(lock_outputs(results, beats=True))
        heart = _Heart(results, token)
        rows = _Rows(shots, executor, reporter, token, max_retries)
        while rows.submit_waiting():
            for event in executor.hear():
                rows.take(event)
            heart.tick()
            rows.show()
    except BaseException:
        executor.cancel()
        raise
    finally:
        executor.close()
        locks.close()
    return rows.tell_end()


class _Rows:
    """The rows of a run: waiting, running and ended ones.

    Args:
        shots: All rows.
        executor: Keys them.
        reporter: Receives their events.
        token: Of the locks of all results.
        max_retries: As of :func:`run_rows`.
    """

    def __init__(
        self,
        shots: Sequence[ManifestRow],
        executor: Executor,
        reporter: Reporter,
        token: str,
        max_retries: int,
    ) -> None:
        self._shots, self._executor, self._reporter = shots, executor, reporter
        self._token, self._max_retries = token, max_retries
        self._waiting = deque(shots)
        self._running: dict[int, ManifestRow] = {}
        self._progress: dict[int, Mapping[str, Any]] = {}
        self._losses: dict[int, int] = {}
        self._failures: dict[int, CleanplateError] = {}
        self._already = 0

    def submit_waiting(self) -> bool:
        """Submit rows until the executor is full; returns whether any row is running."""
        while self._waiting and len(self._running) < self._executor.slots:
            shot = self._waiting.popleft()
            arguments = shot.arguments
            if isinstance(arguments, CleanplateError):
                self._fail(shot, arguments)
            elif shot.row not in self._losses and _is_done_already(shot):
                self._already += 1
            else:
                if shot.row in self._losses:
                    arguments = _resuming(arguments, shot.results)
                self._executor.submit(shot, arguments, self._token)
                self._running[shot.row] = shot
        return bool(self._running)

    def take(self, event: RowEvent) -> None:
        """Report an event, and keep account of the rows."""
        shot = self._running[event.row]
        whose = {"row": shot.row, "clip": shot.name}
        if event.kind == "progress":
            self._progress[shot.row] = event.facts
        elif event.kind == "error":
            self._fail(shot, CleanplateError(event.text, event.facts["hint"]))
        elif event.kind == "result":
            self._reporter.result(event.text, **whose, **event.facts)
        elif event.kind == "note":
            self._reporter.note(f"{shot.name}: {event.text}", **whose, **event.facts)
        elif event.kind == "done":
            self._reporter.done(f"{shot.name}: {event.text}", **whose, **event.facts)
        else:
            del self._running[shot.row]
            self._progress.pop(shot.row, None)
            if event.kind == "lost":
                self._lose(shot, CleanplateError(event.text, event.facts["hint"]))

    def show(self) -> None:
        """Show the progress of all rows."""
        total, running = len(self._shots), len(self._running)
        finished = total - len(self._waiting) - running
        begun = [self._running[row] for row in self._progress]
        parts = [f"{finished} of {total} clips"]
        if running > _MOST_NAMED:
            fps = sum(facts.get("fps") or 0.0 for facts in self._progress.values())
            parts.append(f"{len(begun)} at work with {fps:.1f} fps")
        named = begun or list(self._running.values())
        parts += [f"{shot.name} {_share(self._progress.get(shot.row, {}))}" for shot in named[:_MOST_NAMED]]
        clips = [
            {"row": shot.row, "clip": shot.name, **self._progress.get(shot.row, {})}
            for shot in self._running.values()
        ]
        self._reporter.progress(", ".join(parts), finished=finished, of=total, running=clips)

    def tell_end(self) -> int:
        """Tell how many rows are done; returns the exit code."""
        total, failed = len(self._shots), sorted(self._failures)
        before = f", {self._already} of them before" if self._already else ""
        rows = ", ".join(map(str, failed))
        ending = f"; {len(failed)} failed: row{'s' * (len(failed) > 1)} {rows}." if failed else "."
        self._reporter.done(
            f"{total - len(failed)} of {total} clips are done{before}{ending}",
            clips=total,
            done_before=self._already,
            failed_rows=failed,
        )
        return 2 if failed else 0

    def _lose(self, shot: ManifestRow, error: CleanplateError) -> None:
        """Submit a row again whose process or node died, or record its failure."""
        losses = self._losses[shot.row] = self._losses.get(shot.row, 0) + 1
        if losses <= self._max_retries:
            text = f"{shot.name}: {error.message.rstrip('.')}; retry {losses} of {self._max_retries}."
            self._reporter.note(text, row=shot.row, clip=shot.name)
            self._waiting.appendleft(shot)
            return
        _record_failure(shot, error)
        self._fail(shot, error)

    def _fail(self, shot: ManifestRow, error: CleanplateError) -> None:
        self._failures[shot.row] = error
        named = CleanplateError(f"Row {shot.row} ({shot.name or 'no clip'}): {error.message}", error.hint)
        self._reporter.error(named, row=shot.row, clip=shot.name)


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


def _share(progress: Mapping[str, Any]) -> str:
    """Share of a row that is done."""
    frames, of = progress.get("frames"), progress.get("total")
    return f"{frames / of:.0%}" if frames and of else f"frame {frames}" if frames else "starting"


def _is_done_already(shot: ManifestRow) -> bool:
    """Tell whether an earlier run has done the row, and neither its inputs nor its results have changed."""
    from cleanplate.cli.option_arguments import make_job
    from cleanplate.jobs.completion import is_complete

    if isinstance(shot.arguments, CleanplateError) or not shot.results:
        return False
    return is_complete(make_job(shot.arguments), shot.results)


def _resuming(arguments: Namespace, results: Sequence[Path]) -> Namespace:
    """Arguments that continue a row after the death of its process.

    With ``--overwrite`` and without a checkpoint, the files in the places of the results may be those of an
    earlier run: the row then starts anew.
    """
    from cleanplate.jobs.checkpoint import DamagedError, Work

    again = copy.copy(arguments)
    again.resume = True
    if again.overwrite and results:
        with contextlib.suppress(DamagedError):
            again.resume = arguments.resume or Work(results[0]).read() is not None
    return again


def _record_failure(shot: ManifestRow, error: CleanplateError) -> None:
    """Record the failure of a row whose process died; others have recorded their own."""
    from cleanplate.cli.option_arguments import make_job
    from cleanplate.jobs.completion import RowRecord

    if shot.results and not isinstance(shot.arguments, CleanplateError):
        record = RowRecord(make_job(shot.arguments), shot.results)
        record.begin()
        record.fail(error)

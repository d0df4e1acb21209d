"""Run of a manifest: hands rows to an executor, and reports their events.

A row that fails, or whose process ends, does not affect the others.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import time
from argparse import Namespace
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cleanplate.cli.executors.executor import Executor, RowEvent, RowWork
from cleanplate.cli.executors.processes import LocalProcesses
from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.reporter import Reporter
from cleanplate.cli.split_tasks import RowTask, first_task, is_planned, join_task, span_tasks, step_of
from cleanplate.errors import CleanplateError, OptionError, OutputError, spell_for_manifest
from cleanplate.system.temporary_files import make_folder

ONE_CLIP = 0
"""Number of the row of a clip that is given without a manifest."""

_MOST_NAMED = 3


def run_locally(rows: Sequence[ManifestRow], work: RowWork, jobs: int | None, reporter: Reporter) -> int:
    """Key all rows in processes of this machine, as :func:`run_rows`; ``jobs`` is their number.

    Raises:
        OptionError: ``jobs`` is below 1.
        OutputError, KeyboardInterrupt: As :func:`run_rows`.
    """
    return run_rows(rows, LocalProcesses(work, jobs), reporter)


def run_rows(
    rows: Sequence[ManifestRow], executor: Executor, reporter: Reporter, max_retries: int = 0
) -> int:
    """Key all rows; returns 0, or 2 if any of them fails.

    Args:
        rows: The rows of a manifest.
        executor: Keys them.
        reporter: Receives the results of every row, and a summary at the end.
        max_retries: Number of times that a row is submitted again, with ``--resume``, after the death of its
            process or node.

    Raises:
        OptionError: ``max_retries`` is below 0.
        OutputError: Another run is writing one of the results.
        KeyboardInterrupt: Ctrl-C; every running row has ended as it would alone.
    """
    if max_retries < 0:
        raise OptionError(f"Expected --max-retries of at least 0, got {max_retries}.")
    locks = contextlib.ExitStack()
    try:
        # All results are locked during the whole manifest, also those of later rows.
        results = [path for row in rows for path in row.results]
        for folder in {path.parent for path in results}:
            with contextlib.suppress(OutputError):
                make_folder(folder)
        heart = _Heart(results, locks)
        run = _Run(rows, executor, reporter, heart, max_retries)
        while run.submit_waiting():
            for event in executor.hear():
                run.take(event)
            heart.tick()
            run.show()
    except BaseException:
        executor.cancel()
        raise
    finally:
        executor.close()
        locks.close()
    return run.tell_end()


class _Run:
    """A run of rows: waiting, running and ended ones, each with one task or, in spans, with several.

    Args:
        rows: All rows.
        executor: Keys them.
        reporter: Receives their events.
        heart: Has the locks of all results, and gets those of spans.
        max_retries: As of :func:`run_rows`.
    """

    def __init__(
        self,
        rows: Sequence[ManifestRow],
        executor: Executor,
        reporter: Reporter,
        heart: _Heart,
        max_retries: int,
    ) -> None:
        self._total, self._finished, self._already = len(rows), 0, 0
        self._executor, self._reporter, self._heart = executor, reporter, heart
        self._max_retries = max_retries
        self._waiting = deque(map(first_task, rows))
        self._running: dict[int, RowTask] = {}
        self._left = Counter(row.number for row in rows)
        self._progress: dict[int, Mapping[str, Any]] = {}
        self._losses: dict[int, int] = {}
        self._failures: dict[int, CleanplateError] = {}
        self._span_numbers = itertools.count(-1, -1)

    def submit_waiting(self) -> bool:
        """Submit tasks until the executor is full; returns whether any is running."""
        while self._waiting and len(self._running) < self._executor.slots:
            task = self._waiting.popleft()
            row, arguments = task.row, task.sent.arguments
            if isinstance(arguments, CleanplateError):
                self._fail(row, arguments)
                self._end(task)
            elif row.number in self._failures:  # another span has failed
                self._end(task)
            elif (
                task.number not in self._losses
                and step_of(arguments) in (None, "plan")
                and _is_done_already(row)
            ):
                self._already += 1
                self._end(task)
            else:
                if task.number in self._losses and step_of(arguments) in (None, "plan"):
                    arguments = _resuming(arguments, row.results)
                self._executor.submit(task.sent, arguments, self._heart.token)
                self._running[task.number] = task
        return bool(self._running)

    def take(self, event: RowEvent) -> None:
        """Report an event, and keep account of the rows."""
        task = self._running[event.row]
        row, whose = task.row, task.whose
        if event.kind == "progress":
            self._progress[task.number] = event.facts
        elif event.kind == "error":
            self._fail(row, CleanplateError(event.text, event.facts["hint"]))
        elif event.kind == "result":
            self._reporter.result(event.text, **whose, **event.facts)
        elif event.kind == "note":
            self._reporter.note(f"{row.name}: {event.text}", **whose, **event.facts)
        elif event.kind == "done":
            self._reporter.done(f"{row.name}: {event.text}", **whose, **event.facts)
        else:
            del self._running[task.number]
            self._progress.pop(task.number, None)
            if event.kind == "lost":
                self._lose(task, CleanplateError(event.text, event.facts["hint"]))
            else:
                self._end(task)

    def show(self) -> None:
        """Show the progress of all rows."""
        running = len(self._running)
        begun = [self._running[number] for number in self._progress]
        parts = [f"{self._finished} of {self._total} clips"]
        if running > _MOST_NAMED:
            fps = sum(facts.get("fps") or 0.0 for facts in self._progress.values())
            parts.append(f"{len(begun)} at work with {fps:.1f} fps")
        named = begun or list(self._running.values())
        parts += [
            f"{task.label} {_share(self._progress.get(task.number, {}))}" for task in named[:_MOST_NAMED]
        ]
        clips = [{**task.whose, **self._progress.get(task.number, {})} for task in self._running.values()]
        self._reporter.progress(", ".join(parts), finished=self._finished, of=self._total, running=clips)

    def tell_end(self) -> int:
        """Tell how many rows are done; returns the exit code."""
        total, failed = self._total, sorted(self._failures)
        before = f", {self._already} of them before" if self._already else ""
        numbers = ", ".join(map(str, failed))
        ending = f"; {len(failed)} failed: row{'s' * (len(failed) > 1)} {numbers}." if failed else "."
        if failed == [ONE_CLIP]:
            ending = "; it failed."
        self._reporter.done(
            f"{total - len(failed)} of {total} clips are done{before}{ending}",
            clips=total,
            done_before=self._already,
            failed_rows=failed,
        )
        return 2 if failed else 0

    def _end(self, task: RowTask) -> None:
        """Queue the tasks that follow one that has ended, or count its row as finished."""
        row, step = task.row, None
        if not isinstance(task.sent.arguments, CleanplateError):
            step = step_of(task.sent.arguments)
        self._left[row.number] -= 1
        if (
            step is not None
            and step != "join"
            and not self._left[row.number]
            and row.number not in self._failures
        ):
            try:
                self._queue_next(row)
            except CleanplateError as error:
                self._fail(row, error)
        if not self._left[row.number]:
            del self._left[row.number]
            self._finished += 1

    def _queue_next(self, row: ManifestRow) -> None:
        """Queue the spans of a row that are not done, or the task that joins them, before other rows.

        Raises:
            DamagedError: The plan cannot be read.
            OutputError: Another run is writing a span.
        """
        tasks = span_tasks(row, lambda: next(self._span_numbers))
        self._heart.exchange(row.number, [path for task in tasks for path in task.sent.results])
        if not tasks and is_planned(row):
            tasks = [join_task(row)]
        self._waiting.extendleft(reversed(tasks))
        self._left[row.number] += len(tasks)

    def _lose(self, task: RowTask, error: CleanplateError) -> None:
        """Submit a task again whose process or node died, or record the failure of its row."""
        losses = self._losses[task.number] = self._losses.get(task.number, 0) + 1
        row = task.row
        if losses <= self._max_retries:
            text = f"{task.label}: {error.message.rstrip('.')}; retry {losses} of {self._max_retries}."
            self._reporter.note(text, **task.whose)
            self._waiting.appendleft(task)
            return
        _record_failure(row, error)
        self._fail(row, error)
        self._end(task)

    def _fail(self, row: ManifestRow, error: CleanplateError) -> None:
        """Tell the first error of a row."""
        if row.number in self._failures:
            return
        self._failures[row.number] = error
        if row.number != ONE_CLIP:
            told = f"Row {row.number} ({row.name or 'no clip'}): {error.message}"
            error = CleanplateError(told, spell_for_manifest(error.hint))
        self._reporter.error(error, row=row.number, clip=row.name)


class _Heart:
    """Holds the locks of all results, and shows other machines that this process runs.

    Args:
        results: The results, also those of later rows.
        locks: Releases the locks.
    """

    def __init__(self, results: Sequence[Path], locks: contextlib.ExitStack) -> None:
        from cleanplate.media.locks import lock_outputs

        self.token = locks.enter_context(lock_outputs(results, beats=True))
        self._locks = locks
        self._of_spans: dict[int, tuple[contextlib.ExitStack, list[Path]]] = {}
        self._results = self._held(results)
        self._beaten = time.monotonic()

    def exchange(self, number: int, spans: Sequence[Path]) -> None:
        """Release the locks of a row's spans, and lock others.

        Args:
            number: Number of the row.
            spans: Results of the other spans.

        Raises:
            OutputError: Another run is writing one of them.
        """
        from cleanplate.media.locks import lock_outputs

        before = self._of_spans.pop(number, None)
        if before is not None:
            before[0].close()
        if spans:
            stack = self._locks.enter_context(contextlib.ExitStack())
            stack.enter_context(lock_outputs(spans, beats=True, token=self.token))
            self._of_spans[number] = stack, self._held(spans)

    def tick(self) -> None:
        """Beat if it is time.

        Raises:
            OutputError: Another run has taken a lock over.
        """
        from cleanplate.media.locks import BEAT_SECONDS, beat

        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            self._beaten = time.monotonic()
            beat(itertools.chain(self._results, *(paths for _, paths in self._of_spans.values())), self.token)

    def _held(self, paths: Sequence[Path]) -> list[Path]:
        """The locked ones: in a folder that cannot be made, nothing is, and the row's process tells why."""
        from cleanplate.media.locks import is_held

        return [path for path in paths if is_held(path, self.token)]


def _share(progress: Mapping[str, Any]) -> str:
    """Share of a row that is done."""
    frames, of = progress.get("frames"), progress.get("total")
    return f"{frames / of:.0%}" if frames and of else f"frame {frames}" if frames else "starting"


def _is_done_already(row: ManifestRow) -> bool:
    """Tell whether an earlier run has done the row, and neither its inputs nor its results have changed."""
    from cleanplate.cli.option_arguments import make_job
    from cleanplate.jobs.completion import is_complete

    if isinstance(row.arguments, CleanplateError) or not row.results:
        return False
    return is_complete(make_job(row.arguments), row.results)


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


def _record_failure(row: ManifestRow, error: CleanplateError) -> None:
    """Record the failure of a row whose process died; others have recorded their own."""
    from cleanplate.cli.option_arguments import make_job
    from cleanplate.jobs.completion import RowRecord

    if row.results and not isinstance(row.arguments, CleanplateError):
        record = RowRecord(make_job(row.arguments), row.results)
        record.begin()
        record.fail(error)

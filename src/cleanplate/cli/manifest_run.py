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
from cleanplate.errors import CleanplateError, OptionError, OutputError
from cleanplate.system.temporary_files import make_folder

ONE_CLIP = 0
"""Number of the row of a clip that is given without a manifest."""

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
    if max_retries < 0:
        raise OptionError(f"Expected --max-retries of at least 0, got {max_retries}.")
    locks = contextlib.ExitStack()
    try:
        # All results are locked during the whole manifest, also those of later rows.
        results = [path for shot in shots for path in shot.results]
        for folder in {path.parent for path in results}:
            with contextlib.suppress(OutputError):
                make_folder(folder)
        heart = _Heart(results, locks)
        rows = _Rows(shots, executor, reporter, heart, max_retries)
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
    """The rows of a run: waiting, running and ended ones, each with one task or, in spans, with several.

    Args:
        shots: All rows.
        executor: Keys them.
        reporter: Receives their events.
        heart: Has the locks of all results, and gets those of spans.
        max_retries: As of :func:`run_rows`.
    """

    def __init__(
        self,
        shots: Sequence[ManifestRow],
        executor: Executor,
        reporter: Reporter,
        heart: _Heart,
        max_retries: int,
    ) -> None:
        self._total, self._finished, self._already = len(shots), 0, 0
        self._executor, self._reporter, self._heart = executor, reporter, heart
        self._max_retries = max_retries
        self._waiting = deque(map(first_task, shots))
        self._running: dict[int, RowTask] = {}
        self._left = Counter(shot.row for shot in shots)
        self._progress: dict[int, Mapping[str, Any]] = {}
        self._losses: dict[int, int] = {}
        self._failures: dict[int, CleanplateError] = {}
        self._span_numbers = itertools.count(-1, -1)

    def submit_waiting(self) -> bool:
        """Submit tasks until the executor is full; returns whether any is running."""
        while self._waiting and len(self._running) < self._executor.slots:
            task = self._waiting.popleft()
            shot, arguments = task.shot, task.sent.arguments
            if isinstance(arguments, CleanplateError):
                self._fail(shot, arguments)
                self._end(task)
            elif shot.row in self._failures:  # another span has failed
                self._end(task)
            elif (
                task.number not in self._losses
                and step_of(arguments) in (None, "plan")
                and (_is_done_already(shot))
            ):
                self._already += 1
                self._end(task)
            else:
                if task.number in self._losses and step_of(arguments) in (None, "plan"):
                    arguments = _resuming(arguments, shot.results)
                self._executor.submit(task.sent, arguments, self._heart.token)
                self._running[task.number] = task
        return bool(self._running)

    def take(self, event: RowEvent) -> None:
        """Report an event, and keep account of the rows."""
        task = self._running[event.row]
        shot, whose = task.shot, task.whose
        if event.kind == "progress":
            self._progress[task.number] = event.facts
        elif event.kind == "error":
            self._fail(shot, CleanplateError(event.text, event.facts["hint"]))
        elif event.kind == "result":
            self._reporter.result(event.text, **whose, **event.facts)
        elif event.kind == "note":
            self._reporter.note(f"{shot.name}: {event.text}", **whose, **event.facts)
        elif event.kind == "done":
            self._reporter.done(f"{shot.name}: {event.text}", **whose, **event.facts)
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
        rows = ", ".join(map(str, failed))
        ending = f"; {len(failed)} failed: row{'s' * (len(failed) > 1)} {rows}." if failed else "."
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
        shot, step = task.shot, None
        if not isinstance(task.sent.arguments, CleanplateError):
            step = step_of(task.sent.arguments)
        self._left[shot.row] -= 1
        if (
            step is not None
            and step != "join"
            and not self._left[shot.row]
            and shot.row not in self._failures
        ):
            try:
                self._go_on(shot)
            except CleanplateError as error:
                self._fail(shot, error)
        if not self._left[shot.row]:
            del self._left[shot.row]
            self._finished += 1

    def _go_on(self, shot: ManifestRow) -> None:
        """Queue the spans of a row that are not done, or the task that joins them, before other rows.

        Raises:
            DamagedError: The plan cannot be read.
            OutputError: Another run is writing a span.
        """
        tasks = span_tasks(shot, lambda: next(self._span_numbers))
        self._heart.exchange(shot.row, [path for task in tasks for path in task.sent.results])
        if not tasks and is_planned(shot):
            tasks = [join_task(shot)]
        self._waiting.extendleft(reversed(tasks))
        self._left[shot.row] += len(tasks)

    def _lose(self, task: RowTask, error: CleanplateError) -> None:
        """Submit a task again whose process or node died, or record the failure of its row."""
        losses = self._losses[task.number] = self._losses.get(task.number, 0) + 1
        shot = task.shot
        if losses <= self._max_retries:
            text = f"{task.label}: {error.message.rstrip('.')}; retry {losses} of {self._max_retries}."
            self._reporter.note(text, **task.whose)
            self._waiting.appendleft(task)
            return
        _record_failure(shot, error)
        self._fail(shot, error)
        self._end(task)

    def _fail(self, shot: ManifestRow, error: CleanplateError) -> None:
        """Tell the first error of a row."""
        if shot.row in self._failures:
            return
        self._failures[shot.row] = error
        hint = error.hint.replace("with -o", "in the column output")
        named = CleanplateError(f"Row {shot.row} ({shot.name or 'no clip'}): {error.message}", hint)
        self._reporter.error(error if shot.row == ONE_CLIP else named, row=shot.row, clip=shot.name)


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

    def exchange(self, row: int, spans: Sequence[Path]) -> None:
        """Release the locks of a row's spans, and lock others.

        Raises:
            OutputError: Another run is writing one of them.
        """
        from cleanplate.media.locks import lock_outputs

        before = self._of_spans.pop(row, None)
        if before is not None:
            before[0].close()
        if spans:
            stack = self._locks.enter_context(contextlib.ExitStack())
            stack.enter_context(lock_outputs(spans, beats=True, token=self.token))
            self._of_spans[row] = stack, self._held(spans)

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

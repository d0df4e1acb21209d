"""Tasks of a row with ``--split-seconds``: one that plans, one for each span, one that joins.

Each is a task of the executor, in a process of its own, anywhere. The plan and the finished spans are files
in the work folder of the row's first result, so that a later run continues with what is missing.
"""

from __future__ import annotations

import copy
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.reporter import Reporter, format_duration
from cleanplate.errors import CleanplateError

if TYPE_CHECKING:
    from cleanplate.jobs import Job
    from cleanplate.jobs.pipeline import Progress

Step = int | Literal["plan", "join"]
"""Step of a row in spans: the number of a span, from 0, or a word."""

_STEP = "split_step"


@dataclass(frozen=True)
class RowTask:
    """A row, or a step of it, as a task of an executor.

    Attributes:
        number: Number by which the executor tells its events; that of the row, or negative for a span.
        row: The row.
        sent: The row as the executor gets it: its results are locked for this task.
        span: Number of the span, from 1; None for all other tasks.
        spans: Number of the row's spans.
    """

    number: int
    row: ManifestRow
    sent: ManifestRow
    span: int | None = None
    spans: int = 0

    @property
    def label(self) -> str:
        """Name for users."""
        return self.row.name if self.span is None else f"{self.row.name} {self.span}/{self.spans}"

    @property
    def whose(self) -> dict[str, object]:
        """Row, clip and span for programs."""
        more = {} if self.span is None else {"span": self.span, "spans": self.spans}
        return {"row": self.row.number, "clip": self.row.name, **more}


def is_split(row: ManifestRow) -> bool:
    """Tell whether a row is keyed in spans."""
    arguments = row.arguments
    return (
        not isinstance(arguments, CleanplateError) and getattr(arguments, "split_seconds", None) is not None
    )


def step_of(arguments: Namespace) -> Step | None:
    """The step of a task; None if it is a whole row."""
    found: Step | None = getattr(arguments, _STEP, None)
    return found


def first_task(row: ManifestRow) -> RowTask:
    """The first task of a row: all of it, or the plan of its spans."""
    return RowTask(row.number, row, _at_step(row, "plan") if is_split(row) else row)


def span_tasks(row: ManifestRow, number: Callable[[], int]) -> list[RowTask]:
    """Tasks for the spans of a planned row that are not done; ``number`` gives a number for each."""
    from cleanplate.jobs.checkpoint import SpanFiles, span_path

    files = SpanFiles(row.results[0])
    plan = files.read_plan()
    if plan is None:
        return []
    spans = len(plan.marks)
    return [
        RowTask(
            fresh := number(),
            row,
            replace(_at_step(row, span), number=fresh, results=(span_path(row.results[0], span),)),
            span + 1,
            spans,
        )
        for span in range(spans)
        if files.read_record(span, plan) is None
    ]


def is_planned(row: ManifestRow) -> bool:
    """Tell whether a row has a plan: without one, its results are complete."""
    from cleanplate.jobs.checkpoint import SpanFiles

    return SpanFiles(row.results[0]).read_plan() is not None


def join_task(row: ManifestRow) -> RowTask:
    """The last task of a row in spans."""
    return RowTask(row.number, row, _at_step(row, "join"))


def _at_step(row: ManifestRow, step: Step) -> ManifestRow:
    arguments = copy.copy(row.arguments)
    setattr(arguments, _STEP, step)
    if step != "plan" and isinstance(arguments, Namespace):
        arguments.resume = True
    return replace(row, arguments=arguments)


def key_step(
    job: Job,
    step: Step,
    results: Sequence[Path],
    reporter: Reporter,
    show: Callable[[Progress], None],
) -> None:
    """Do one step of a row, in its process, and record the end of the row.

    Args:
        job: The row's job.
        step: The step.
        results: Files of the row.
        reporter: Receives results and notes.
        show: Shows the progress.

    Raises:
        CleanplateError: As :func:`cleanplate.jobs.run_job`.
    """
    from cleanplate.jobs.completion import RowRecord
    from cleanplate.jobs.split_run import join_spans, key_span, plan_spans

    record = RowRecord(job, results)
    record.begin()
    try:
        if step == "plan":
            plan = plan_spans(job, on_progress=show, on_note=reporter.note)
            if plan is None:
                record.finish(0, 0.0)
                reporter.done("There was nothing left to do.", frames=0)
            else:
                spans = len(plan.marks)
                reporter.done(f"{plan.frames} frames in {spans} spans.", frames=plan.frames, spans=spans)
        elif step == "join":
            summary = join_spans(job, on_progress=show, on_note=reporter.note)
            for path in summary.paths:
                reporter.result(str(path))
            text = (
                f"{summary.frames} frames, joined; keyed in {format_duration(summary.seconds)} of all spans."
            )
            reporter.done(text, frames=summary.frames, seconds=round(summary.seconds, 3))
            record.finish(summary.frames, summary.seconds)
        else:
            summary = key_span(job, step, on_progress=show, on_note=reporter.note)
            text = f"Span {step + 1}: {summary.frames} frames in {format_duration(summary.seconds)}."
            reporter.done(text, frames=summary.frames, seconds=round(summary.seconds, 3))
    except CleanplateError as error:
        record.fail(error)
        raise

"""A job in spans: planned once, keyed in any order and anywhere, joined without encoding again.

A span knows of the frames before it what the plan gives it: the plate, fitted to the first frame of the clip,
and the time at which backdrops and regions begin. With ``locked_off`` nothing else goes from frame to frame,
and segments are encoded independently, so that the joined spans equal a whole run, to the bit.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from cleanplate.errors import InputError, OptionError, OutputError
from cleanplate.frame import Frame
from cleanplate.jobs.checkpoint import (
    Checkpoint,
    DamagedError,
    Mark,
    SpanFiles,
    SpanPlan,
    SpanRecord,
    Work,
    begin,
    clear_spans,
    span_path,
)
from cleanplate.jobs.job import Job
from cleanplate.jobs.pipeline import Progress, Summary, do_aside
from cleanplate.jobs.plan import Plan, describe_job, plan_job
from cleanplate.jobs.run_notes import leaving, tell_existing
from cleanplate.jobs.span_source import SpanSource
from cleanplate.jobs.video_run import OpenJob, run_whole
from cleanplate.media import Source, open_source
from cleanplate.media.files import reporting_write_errors
from cleanplate.media.locks import adopt, lock_outputs
from cleanplate.media.numbering import is_pattern
from cleanplate.media.video.segments import Segment, make_work_folder, segment_frames, segment_path
from cleanplate.models.registry import Model
from cleanplate.system.pipes import is_pipe

OnProgress = Callable[[Progress], None]
OnNote = Callable[[str], None]

NOTE = "The clip is keyed in spans, with --locked-off: the plate is fitted to the first frame alone."


def check_split(job: Job) -> None:
    """Refuse options whose results go from frame to frame, or belong to one run.

    Raises:
        OptionError: One of them is set, or the clip or a result is a pipe.
    """
    refused = {
        "--follow": (job.keyer.follow, "updates the plate from frame to frame"),
        "--hint": (job.keyer.hint is not None, "is carried from frame to frame"),
        "--despeckle": (job.finish.despeckle, "compares each frame with those before"),
        "--report": (job.report, "is written by one run"),
        "--profile": (job.profile, "is written by one run"),
    }
    for flag, (value, why) in refused.items():
        if value:
            raise OptionError(
                f"{flag} {why}, and --split-seconds cuts the clip into independent spans.",
                f"leave out {flag} or --split-seconds",
            )
    if any(is_pipe(path) for path in (job.clip, job.out) if path is not None):
        raise OptionError(
            "A pipe cannot be cut into spans: it can be read once only.",
            "give files, or leave out --split-seconds",
        )


def plan_spans(job: Job, *, on_progress: OnProgress | None = None, on_note: OnNote) -> SpanPlan | None:
    """Fit the plate to the first frame, choose the spans, and write both beside the first result.

    Args:
        job: A job with ``split_seconds``. With ``resume``, the plan of an interrupted run is used again.
        on_progress: As of :func:`cleanplate.jobs.run_job`, while a plate is built.
        on_note: As of :func:`cleanplate.jobs.run_job`.

    Returns:
        The plan; None if the results are complete already.

    Raises:
        CleanplateError: As :func:`cleanplate.matte_video`.
    """
    plan = _plan(job)
    work, files = Work(plan.results[0]), SpanFiles(plan.results[0])
    with contextlib.ExitStack() as resources:
        resources.enter_context(lock_outputs(plan.results))
        source = resources.enter_context(_open_clip(job, plan))
        every = segment_frames(source.info)
        described = describe_job(replace(job, resume=True), plan, source.info)
        begun = begin(
            work, plan.results, described, resume=job.resume, overwrite=job.overwrite, on_note=on_note
        )
        if begun is None:
            tell_existing(plan.results, on_note)
            return None
        on_note(NOTE)
        found = files.read_plan()
        if found is not None:
            return found
        begun = replace(begun, overwrite=job.overwrite or begun.overwrite)
        resources.enter_context(leaving(work, plan.results, on_note))
        undo = resources.enter_context(contextlib.ExitStack())
        opened = OpenJob(job, plan, work, source, every, begun, undo, resources, on_progress, on_note)
        opened.tell_notes()
        times = source.list_times()
        marks = _choose_marks(times, source, every, job.split_seconds or 0)
        opened.fit(next(iter(source)))
        last = _read_frame(job, plan, Mark(len(times) - 1, times[-1]))
        if note := opened.check_end(last):
            on_note(note)
        made = SpanPlan(uuid.uuid4().hex, len(times), marks, 0)
        return files.write_plan(made, opened.keeping.look())


def key_span(job: Job, number: int, *, on_progress: OnProgress | None = None, on_note: OnNote) -> Summary:
    """Key one span of a planned job; a span that is done is not keyed again, an interrupted one continues.

    Args:
        job: The job of the plan.
        number: Number of the span, from 0.
        on_progress: As of :func:`cleanplate.jobs.run_job`.
        on_note: As of :func:`cleanplate.jobs.run_job`.

    Raises:
        CleanplateError: As :func:`cleanplate.matte_video`.
    """
    began = time.perf_counter()
    plan = _plan(job)
    files = SpanFiles(plan.results[0])
    spans = _get_plan(files)
    length = spans.lengths()[number]
    if files.read_record(number, spans) is not None:
        return Summary(length, time.perf_counter() - began, plan.results, length)
    part = _part_of(plan, number)
    work = Work(span_path(plan.results[0], number))
    with contextlib.ExitStack() as resources:
        for path in plan.results:
            make_work_folder(path)
        resources.enter_context(lock_outputs([work.path]))
        source = resources.enter_context(_open_span(job, plan, spans, number))
        every = segment_frames(source.info)
        begun = _begin_span(
            work, plan, number, {**describe_job(job, part, source.info), "plan": spans.name}, on_note
        )
        whose = f" of span {number + 1} of {len(spans.marks)}"
        resources.enter_context(leaving(work, part.results, on_note, whose))
        undo = resources.enter_context(contextlib.ExitStack())
        opened = OpenJob(
            job, part, work, source, every, begun, undo, resources, on_progress, on_note, work.folder
        )
        opened.keeping.put(files.recall_fit(spans))
        opened.repair()
        undo.pop_all()
        summary = opened.close_finished(began) if opened.begun.complete else opened.run()
        record = SpanRecord(spans.name, round(summary.seconds, 3), opened.keeping.checkpoint.segments)
        files.write_record(number, record)
        opened.close()
    return replace(summary, paths=plan.results)


def join_spans(job: Job, *, on_progress: OnProgress | None = None, on_note: OnNote) -> Summary:
    """Join all spans of a planned job to its results, and remove their files.

    Returns:
        The summary, with the duration of all spans together and of the join.

    Raises:
        OutputError: A span is not done.
        CleanplateError: As :func:`cleanplate.matte_video`.
    """
    began = time.perf_counter()
    plan = _plan(job)
    work, files = Work(plan.results[0]), SpanFiles(plan.results[0])
    spans = _get_plan(files)
    with lock_outputs(plan.results) as token:
        adopt(token)
        begun = work.read()
        if begun is None:
            raise DamagedError(f"{work.folder} has no checkpoint.", "start again with --overwrite")
        if not begun.complete:
            segments = _gather(files, spans, plan.results)
            checksum = work.remember(spans.frames, files.recall_fit(spans))
            done: Checkpoint = replace(
                begun, frames=spans.frames, complete=True, checksum=checksum, segments=segments
            )
            work.write(done)
        records = [files.read_record(number, spans) for number in range(len(spans.marks))]
        keyed = sum(record.seconds for record in records if record is not None)
        summary = run_whole(replace(job, resume=True), on_progress=on_progress, on_note=on_note)
        for path in plan.results:
            clear_spans(path)
    return replace(summary, seconds=keyed + time.perf_counter() - began)


def run_in_spans(job: Job, *, on_progress: OnProgress | None = None, on_note: OnNote) -> Summary:
    """Plan, key all spans one after the other, and join them.

    Args:
        job: A job with ``split_seconds``.
        on_progress: As of :func:`cleanplate.jobs.run_job`.
        on_note: As of :func:`cleanplate.jobs.run_job`.

    Raises:
        CleanplateError, KeyboardInterrupt: As :func:`cleanplate.matte_video`.
    """
    began = time.perf_counter()
    told: set[str] = set()

    def tell(note: str) -> None:
        if note not in told:
            told.add(note)
            on_note(note)

    plan = _plan(job)
    with lock_outputs(plan.results) as token:
        adopt(token)
        spans = plan_spans(job, on_progress=on_progress, on_note=tell)
        if spans is None:
            return Summary(0, time.perf_counter() - began, plan.results)
        resumed = SpanFiles(plan.results[0]).count().frames
        for number, mark in enumerate(spans.marks):
            step = None if on_progress is None else _count_from(mark, spans, on_progress)
            key_span(job, number, on_progress=step, on_note=tell)
        summary = join_spans(job, on_progress=on_progress, on_note=tell)
    return replace(summary, resumed=resumed, seconds=time.perf_counter() - began)


def _count_from(mark: Mark, spans: SpanPlan, on_progress: OnProgress) -> OnProgress:
    """Progress of a span as progress of the clip."""

    def tell(progress: Progress) -> None:
        moved = replace(
            progress,
            frames=mark.index + progress.frames,
            resumed=mark.index + progress.resumed,
            total=spans.frames,
        )
        on_progress(moved)

    return tell


def _plan(job: Job) -> Plan:
    """The plan of the whole job, with the checks of a split one."""
    check_split(job)
    plan = plan_job(job)
    model = plan.keyer.model
    if isinstance(model, Model) and not model.config.needs_plate:
        raise OptionError(
            "A model without a plate has a memory from frame to frame: its clip cannot be cut into spans.",
            "leave out --split-seconds",
        )
    return plan


def _get_plan(files: SpanFiles) -> SpanPlan:
    spans = files.read_plan()
    if spans is None:
        raise OutputError(f"{files.path.name} has no plan of spans.", "start again with --overwrite")
    return spans


def _open_clip(job: Job, plan: Plan) -> Source:
    return do_aside(lambda: open_source(plan.clip, job.reading))


def _open_span(job: Job, plan: Plan, spans: SpanPlan, number: int) -> Source:
    after = number + 1
    end = spans.marks[after].pts if after < len(spans.marks) else None
    source = _open_clip(job, plan)
    try:
        return SpanSource(source, spans.marks[number], spans.lengths()[number], end)
    except BaseException:
        source.close()
        raise


def _part_of(plan: Plan, number: int) -> Plan:
    """The plan of a span: the paths of its segments, and the plate that the whole plan has built."""
    paths = {
        layer: path if is_pattern(path) else span_path(path, number) for layer, path in plan.paths.items()
    }
    if not plan.builds:
        return replace(plan, paths=paths)
    work = Work(plan.results[0])
    begun = work.read()
    plate = None if begun is None else work.recall_plate(begun)
    if plate is None:
        raise DamagedError(f"The built plate in {work.folder} is damaged.", "start again with --overwrite")
    return replace(plan, paths=paths, plate=plate, builds=False)


def _begin_span(
    work: Work, plan: Plan, number: int, described: dict[str, object], on_note: OnNote
) -> Checkpoint:
    """State to continue a span from; what cannot be continued is keyed again."""
    places = [span_path(path, number) for path in plan.results]
    arguments = {"overwrite": True, "on_note": on_note}
    begun = None
    with contextlib.suppress(OptionError):  # left by another plan
        begun = begin(work, places, described, resume=work.is_begun, **arguments)  # type: ignore[arg-type]
    if begun is None:
        begun = begin(work, places, described, resume=False, **arguments)  # type: ignore[arg-type]
    if begun is None:
        raise AssertionError("unreachable")
    return replace(begun, overwrite=True)


def _choose_marks(times: Sequence[int], source: Source, every: int, seconds: float) -> list[Mark]:
    """The first frame of each span; spans have whole segments, and last so many seconds at least."""
    if not times:
        raise InputError(f"{source.info.path.name} has no frames.")
    least = Fraction(seconds).limit_denominator(1000) / source.info.time_base
    marks = [Mark(0, times[0])]
    for index in range(every, len(times), every):
        if times[index] - marks[-1].pts >= least:
            marks.append(Mark(index, times[index]))
    return marks


def _read_frame(job: Job, plan: Plan, mark: Mark) -> Frame | None:
    """A frame of the clip; None if it cannot be read: its span tells the reason."""
    with contextlib.suppress(InputError), _open_clip(job, plan) as source:
        source.start_at(mark.index, mark.pts)
        return next(iter(source), None)
    return None


def _gather(files: SpanFiles, spans: SpanPlan, results: Sequence[Path]) -> dict[str, list[Segment]]:
    """Move the segments of all spans into the work folders of the results; they are numbered on.

    Raises:
        OutputError: A span is not done, or its segments are gone; it is then keyed again by the next run.
    """
    videos = [path for path in results if not is_pattern(path)]
    found: dict[str, list[Segment]] = {path.name: [] for path in videos}
    for number in range(len(spans.marks)):
        record = files.read_record(number, spans)
        if record is None:
            raise OutputError(
                f"Span {number + 1} of {files.path.name} is not done.", "continue with --resume"
            )
        for path in videos:
            for old, segment in enumerate(record.segments[span_path(path, number).name]):
                there = segment_path(path, len(found[path.name]))
                here = segment_path(span_path(path, number), old)
                with reporting_write_errors(path):
                    if here.exists():
                        here.replace(there)
                if not there.exists():
                    files.forget(number)
                    raise OutputError(
                        f"A segment of span {number + 1} is gone: {here}.", "continue with --resume"
                    )
                found[path.name].append(segment)
    return found

"""The run of a job: check the files, key all frames, rename the finished results."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from cleanplate.compositing.backdrops import VideoBackdrop
from cleanplate.compositing.converted_backdrop import ConvertedBackdrop, open_own_backdrop
from cleanplate.compositing.finish import plan_finish
from cleanplate.compositing.layers import choose_alpha, choose_place, remind_of_alpha
from cleanplate.compositing.lines import HostLine, open_line
from cleanplate.compositing.over import describe_source_alpha
from cleanplate.compositing.own_space import describe_colours, describe_space
from cleanplate.compositing.still_backdrops import Backdrop, StillBackdrop
from cleanplate.errors import OptionError
from cleanplate.frame import Frame
from cleanplate.jobs.built_plate import get_built
from cleanplate.jobs.checkpoint import (
    Checkpoint,
    Keeping,
    NoWork,
    Work,
    begin,
    find_damaged,
)
from cleanplate.jobs.end_check import EndCheck
from cleanplate.jobs.job import Job
from cleanplate.jobs.matched_plate import match_plate
from cleanplate.jobs.pipeline import (
    Output,
    Progress,
    Summary,
    Trace,
    Workers,
    choose_compositors,
    choose_workers,
    close_sinks,
    do_aside,
    remind_of_memory,
    run,
)
from cleanplate.jobs.plan import Plan, describe_job, open_sinks, plan_job
from cleanplate.jobs.repair import Again, repair
from cleanplate.jobs.report import ReportWriter, is_finished
from cleanplate.jobs.run_notes import FitNotes, leaving, tell_existing
from cleanplate.keyer.keyer import Keyer
from cleanplate.keyer.recurrent_keyer import RecurrentKeyer, check_finish, check_maps, open_keyer
from cleanplate.keyer.shot_plate import KeyerPlate, own_pixels
from cleanplate.media import Sink, Source, SourceInfo, open_source
from cleanplate.media.files import check_writable
from cleanplate.media.locks import lock_outputs
from cleanplate.media.video.pipe_source import PipeSource
from cleanplate.media.video.segments import segment_frames
from cleanplate.plate import Plate
from cleanplate.plate.mixing.plate_set import PlateSet
from cleanplate.system.pipes import is_pipe, name_input
from cleanplate.system.temporary_files import find_partial

Opened = TypeVar("Opened")


def run_whole(
    job: Job,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None],
) -> Summary:
    """Key the clip of a job into its results, in one run.

    Args:
        job: The job.
        on_progress: Called about ten times a second, in this thread.
        on_note: Receives notes for the user, in sentences, in this thread.

    Raises:
        CleanplateError, KeyboardInterrupt: As :func:`cleanplate.matte_video`.
    """
    began = time.perf_counter()
    plan = plan_job(job)
    work = NoWork(plan.results[0]) if plan.in_one_piece else Work(plan.results[0])
    files = [path for path in plan.results if not is_pipe(path)]
    with contextlib.ExitStack() as resources:
        reports = [] if plan.report is None else [plan.report]
        resources.enter_context(lock_outputs([*plan.results, *reports]))
        source = resources.enter_context(_open_aside(plan, lambda: open_source(plan.clip, job.reading)))
        every = segment_frames(source.info)
        begun = begin(
            work,
            files,
            describe_job(job, plan, source.info),
            resume=job.resume,
            overwrite=job.overwrite,
            on_note=on_note,
        )
        if begun is None:
            tell_existing(plan.results, on_note)
            return Summary(0, time.perf_counter() - began, plan.results)
        begun = replace(begun, overwrite=job.overwrite or begun.overwrite)
        resources.enter_context(leaving(work, files, on_note))
        undo = resources.enter_context(contextlib.ExitStack())
        opened = OpenJob(job, plan, work, source, every, begun, undo, resources, on_progress, on_note)
        opened.repair()
        opened.tell_notes()
        undo.pop_all()  # from here on the run finishes the sinks
        summary = opened.run() if not opened.begun.complete else opened.close_finished(began)
        opened.close()
        if isinstance(source, PipeSource) and source.failure is not None:
            raise source.failure
        return replace(summary, paths=plan.results)


class OpenJob:
    """Open source, sinks, keyer and report of a job; the given stack of resources closes them.

    Results that cannot be written are refused before any computation.

    Args:
        job: The job.
        plan: Its plan.
        work: Its files.
        source: Its clip, open.
        every: Frames of a segment.
        begun: State to continue from.
        undo: Removes new sinks unless the run has started.
        resources: Closes everything else.
        on_progress: As of :func:`run_whole`.
        on_note: As of :func:`run_whole`.
        span: Folder of a run that keys a span of a result; None: all of it.

    Attributes:
        begun: State to continue from.
        keeping: The states of keyer, backdrop and report.
    """

    def __init__(
        self,
        job: Job,
        plan: Plan,
        work: Work,
        source: Source,
        every: int,
        begun: Checkpoint,
        undo: contextlib.ExitStack,
        resources: contextlib.ExitStack,
        on_progress: Callable[[Progress], None] | None,
        on_note: Callable[[str], None],
        span: Path | None = None,
    ) -> None:
        self._job, self._plan, self._work, self._source = job, plan, work, source
        self._on_progress, self._on_note = on_progress, on_note
        info, asked = source.info, job.keyer.input_colour
        self._colours = describe_colours(asked, info.space, info.transfer, has_light=info.has_light)
        self._checks_end = plan.keyer.locked_off and span is None
        if job.profile is not None:
            check_writable(Path(job.profile), overwrite=job.overwrite)
        report = plan.report
        if report is not None and begun.complete and is_finished(report, begun.report):
            report = None
        if report is not None:
            check_writable(report, overwrite=begun.overwrite)
        self._damaged = {} if plan.in_one_piece else find_damaged(begun, plan.results)
        opening = partial(open_sinks, plan, self._describe_source(), begun, work, undo, span)
        self._sinks = _open_aside(plan, opening)
        work.write(begun)
        plate: KeyerPlate | None = plan.plate
        if plan.builds:
            begun, plate = get_built(plan.clip, work, begun, on_progress, on_note)
        elif plan.move is not None:
            plate = match_plate(plan.move, source, job.reading, on_progress)
        self._open_keyer(plate, resources)
        self._backdrop = self._open_backdrop(plate, resources)
        self._report = None
        if report is not None:
            self._report, begun = _open_report(self._keyer, report, name_input(plan.clip), begun, work)
            resources.callback(self._report.abort)
        self.begun = begun
        self.keeping = Keeping(work, begun, every, list(self._sinks.values()))
        self.keeping.add("keyer", self._keyer)
        backdrop = self._backdrop
        played = backdrop.inner if isinstance(backdrop, ConvertedBackdrop) else backdrop
        if isinstance(played, VideoBackdrop):
            self.keeping.add("backdrop", played)
        if self._line.specks is not None:
            self.keeping.add("specks", self._line.specks)
        if self._report is not None:
            self.keeping.add("report", self._report)

    def _open_keyer(self, plate: KeyerPlate | None, resources: contextlib.ExitStack) -> None:
        """Open the keyer, and the steps on each frame before it and on each matte after it."""
        job, plan = self._job, self._plan
        colours = self._colours
        for sink in self._sinks.values():
            if sink.takes_light:
                colours.check_light(sink.path)
        linear = job.linear or colours.mixes_light
        in_light = linear or any(sink.takes_light for sink in self._sinks.values())
        self._mixed_in = colours.transfer if in_light else None
        # A composite never shows the colour outside of the subject.
        bleed = job.finish.bleed and not {"cutout", "foreground"}.isdisjoint(plan.paths)
        wanted = replace(job.finish, bleed=bleed, transfer=self._mixed_in)
        shadow, finish = plan_finish(plan.keyer.shadow, wanted)
        is_apart = in_light or colours.view is not None
        on_device = choose_place(job.keyer.on_device, plan.paths, in_light=is_apart)
        keyer = open_keyer(plate, plan.keyer, shadow=shadow, on_device=on_device, on_note=self._on_note)
        resources.enter_context(contextlib.closing(keyer))
        check_finish(finish, keyer)
        check_maps((*plan.paths, *job.encoding.channels), keyer)
        self._keyer = keyer
        self._line = open_line(keyer.device_router, finish, colours.transfer, linear=linear)

    def _describe_source(self) -> SourceInfo:
        """Description of the source for sinks: with the primaries of its light."""
        info = self._source.info
        return replace(info, chromaticities=self._colours.chromaticities or info.chromaticities)

    def _prepare(self, frame: Frame) -> Frame:
        """Prepare a frame for the keyer, in the decoder's thread."""
        return self._line.upload(self._keyer.show(frame))

    def _open_backdrop(self, plate: KeyerPlate | None, resources: contextlib.ExitStack) -> Backdrop | None:
        if self._job.background is None:
            return None
        first = plate.plates[0] if isinstance(plate, PlateSet) else plate
        asked = self._job.keyer.plate_colour
        empty = own_pixels(first, asked, self._colours) if isinstance(first, Plate) else None
        opened = open_own_backdrop(
            self._job.background,
            empty,
            self._colours,
            transfer=self._mixed_in,
            space=self._job.background_colour,
        )
        return resources.enter_context(contextlib.closing(opened))

    def _make_output(self, layer: str, sink: Sink) -> Output:
        alpha = choose_alpha(sink.path, self._job.alpha)
        light = sink.extra_channels if sink.takes_light else None
        return Output(self._line.render_layer(layer, self._backdrop, alpha=alpha, light=light), sink)

    def repair(self) -> None:
        """Key damaged segments again, then restore the state to continue from."""
        plan, reading = self._plan, self._job.reading
        if self._damaged:
            again = Again(
                open_source=lambda: do_aside(lambda: open_source(plan.clip, reading)),
                keyer=self._keyer,
                prepare=self._prepare,
                settle=self._line.settle,
                finish=self._line.finish,
                make_output=self._make_output,
                layers={path: layer for layer, path in plan.paths.items()},
                encodings=plan.encodings,
                on_progress=self._on_progress,
            )
            repair(self._damaged, self.keeping, self._work, again, self._on_note)
        self.keeping.restore()

    def tell_notes(self) -> None:
        """Note the treatment of the source's alpha, and tags that the formats of the results lack."""
        if self._source.info.has_alpha:
            self._on_note(
                describe_source_alpha(name_input(self._plan.clip).name, self._job.keyer.source_alpha)
            )
        name, info = name_input(self._plan.clip).name, self._source.info
        note = describe_space(name, self._job.keyer.input_colour, info.space, self._colours)
        if note is not None:
            self._on_note(note)
        for note in remind_of_alpha(self._job.alpha, self._plan.paths):
            self._on_note(note)

    def fit(self, frame: Frame) -> None:
        """Fit the plate to the first frame, without keying it: that is the state before all spans."""
        keyer = self._keyer
        if isinstance(keyer, RecurrentKeyer):
            raise TypeError("a recurrent network has no fit")
        keyer.place(keyer.expect(frame))
        if isinstance(self._backdrop, VideoBackdrop):
            self._backdrop.at(frame)
        for note in () if keyer.fit is None else keyer.fit.notes:
            self._on_note(note)

    def check_end(self, last: Frame | None) -> str | None:
        """A sentence if the plate no longer fits the last frame of the clip."""
        if last is None or isinstance(self._keyer, RecurrentKeyer):
            return None
        check = EndCheck(self._keyer, align=self._plan.keyer.align)
        check.look_at(last)
        return check.tell()

    def run(self) -> Summary:
        """Key the remaining frames."""
        if self.begun.pts is not None:
            self._source.start_at(self.begun.frames, self.begun.pts)
        keyer = _split_keyer(self._keyer, self._job, self._source.info, self._on_note)
        observers = [] if self._report is None else [self._report.add]
        check = None
        if self._checks_end and isinstance(self._keyer, Keyer):
            check = EndCheck(self._keyer, align=self._plan.keyer.align)
            observers.append(check.add)
        with (
            self._open_trace() as trace,
            FitNotes(self._keyer, self._on_note, self._on_progress) as fit_notes,
        ):
            summary = run(
                self._source,
                keyer,
                [self._make_output(layer, sink) for layer, sink in self._sinks.items()],
                prepare=self._prepare,
                settle=self._line.settle,
                finish=self._line.finish,
                observers=[fit_notes.observe, *observers],
                saving=None if self._plan.in_one_piece else self.keeping,
                compositors=self._choose_compositors(keyer.count if isinstance(keyer, Workers) else 1),
                on_progress=fit_notes.tick,
                on_note=self._on_note,
                trace=trace,
            )
        if check is not None and (note := check.tell()):
            self._on_note(note)
        return summary

    @contextlib.contextmanager
    def _open_trace(self) -> Iterator[Trace | None]:
        """The trace of this run, also of an interrupted one; None if there is to be none."""
        if self._job.profile is None:
            yield None
            return
        with contextlib.closing(Trace(Path(self._job.profile), overwrite=self._job.overwrite)) as trace:
            yield trace

    def _choose_compositors(self, workers: int) -> int:
        """Threads for finish and layers; one if the backdrop plays in order or mattes are on a device."""
        is_free = self._backdrop is None or isinstance(self._backdrop, StillBackdrop)
        return choose_compositors(workers) if is_free and isinstance(self._line, HostLine) else 1

    def close_finished(self, began: float) -> Summary:
        """Close the results of a run that was interrupted after its last frame."""
        close_sinks(self._source, list(self._sinks.values()), self._on_note)
        frames = self.begun.frames
        return Summary(frames, time.perf_counter() - began, self._plan.results, frames)

    def close(self) -> None:
        """Finish the report, tell the last notes, and remove the files of the run."""
        for note in self._keyer.notes:
            self._on_note(note)
        if self._report is not None:
            self._report.close()
            for note in self._report.tell():
                self._on_note(note)
        self._work.clear()


def _open_aside(plan: Plan, work: Callable[[], Opened]) -> Opened:
    """Open files in a thread of low priority, and pipes in this one, so that Ctrl-C ends a wait."""
    return work() if plan.piped else do_aside(work)


def _split_keyer(
    keyer: Keyer | RecurrentKeyer, job: Job, info: SourceInfo, on_note: Callable[[str], None]
) -> Keyer | RecurrentKeyer | Workers:
    """The keyer itself, or several workers of it, as the job and this machine allow for a clip."""
    if isinstance(keyer, RecurrentKeyer) or not keyer.splits:
        return keyer
    pixels = info.height * info.width
    count, threads = choose_workers(
        job.workers, pixels, job.keyer.threads, model_bytes=keyer.model_bytes, of_clip=True
    )
    size = (info.height, info.width, info.bit_depth)
    if (note := remind_of_memory(*size, count, keyer.model_bytes)) is not None:
        on_note(note)
    return keyer if count == 1 else Workers(keyer, count, threads)


def _open_report(
    keyer: Keyer | RecurrentKeyer, report: Path, clip: Path, begun: Checkpoint, work: Work
) -> tuple[ReportWriter, Checkpoint]:
    """The report, and the state with its temporary name, which is recorded before the file exists."""
    if isinstance(keyer, RecurrentKeyer):
        raise OptionError(
            "A report describes the fit of the plate, but this model uses none.", "leave out --report"
        )
    left = None if begun.report is None else report.with_name(begun.report)
    if left is not None and begun.checksum is None:  # of a run that was killed before its first segment ended
        left.unlink(missing_ok=True)
        left = None
    expected = left or find_partial(report)
    if left is None:
        work.write(replace(begun, report=expected.name))
    writer = ReportWriter(keyer, report, clip.name, overwrite=begun.overwrite, partial=left)
    begun = replace(begun, report=writer.partial.name)
    if writer.partial != expected:
        work.write(begun)
    return writer, begun

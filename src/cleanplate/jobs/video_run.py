"""A job from its first look at the files to the last rename."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from cleanplate.compositing.backdrops import VideoBackdrop, open_backdrop
from cleanplate.compositing.finish import Finish, plan_finish
from cleanplate.compositing.layers import choose_alpha, choose_place, remind_of_alpha, render_layer
from cleanplate.compositing.linear_layers import render_light
from cleanplate.compositing.over import Backdrop, describe_source_alpha
from cleanplate.errors import OptionError, spell
from cleanplate.jobs.built_plate import get_built
from cleanplate.jobs.checkpoint import Checkpoint, DamagedError, Keeping, Work, begin, find_damaged, is_begun
from cleanplate.jobs.job import Job
from cleanplate.jobs.pipeline import Output, Progress, Render, Summary, close_sinks, do_aside, run
from cleanplate.jobs.plan import describe_job, open_sinks, plan_job
from cleanplate.jobs.repair import Again, repair
from cleanplate.jobs.report import Recorder, is_finished
from cleanplate.keyer.keyer import Keyer
from cleanplate.keyer.recurrent_keyer import RecurrentKeyer, check_finish, check_maps, open_keyer
from cleanplate.media import Sink, open_source
from cleanplate.media.files import check_writable
from cleanplate.media.locks import lock_outputs
from cleanplate.media.video.segments import segment_frames

if TYPE_CHECKING:
    from cleanplate.compositing.device.device_path import DeviceLine


def run_job(
    job: Job,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None],
) -> Summary:
    """Key the clip of a job into its results.

    Args:
        job: What is asked for.
        on_progress: Called about ten times a second, in this thread.
        on_note: Told what the user should know, in sentences, in this thread.

    Raises:
        CleanplateError, KeyboardInterrupt: As :func:`cleanplate.matte_video`.
    """
    began = time.perf_counter()
    plan = plan_job(job)
    work = Work(plan.results[0])
    with contextlib.ExitStack() as resources:
        reports = [] if plan.report is None else [plan.report]
        resources.enter_context(lock_outputs([*plan.results, *reports]))
        source = resources.enter_context(do_aside(lambda: open_source(plan.clip, job.reading)))
        every = segment_frames(source.info)
        described = describe_job(job, plan, every)
        begun = begin(
            work, plan.results, described, resume=job.resume, overwrite=job.overwrite, on_note=on_note
        )
        if begun is None:
            for path in plan.results:
                on_note(f"{path.name} is complete already.")
            return Summary(0, time.perf_counter() - began, plan.results)
        begun = replace(begun, overwrite=job.overwrite or begun.overwrite)
        resources.enter_context(_leaving(work, plan.results, on_note))

        # What cannot be written is refused before anything is computed.
        report = plan.report
        if report is not None and begun.complete and is_finished(report, begun.report):
            report = None
        if report is not None:
            check_writable(report, overwrite=begun.overwrite)
        undo = resources.enter_context(contextlib.ExitStack())
        damaged = find_damaged(begun, plan.results)
        sinks = do_aside(partial(open_sinks, plan, source, begun, work, undo))
        work.write(begun)

        plate = plan.plate
        if plan.builds:
            begun, plate = get_built(plan.clip, work, begun, on_progress, on_note)
        transfer = source.info.transfer
        in_light = job.linear or any(sink.takes_light for sink in sinks.values())
        mixed_in = transfer if in_light else None
        # Who mixes the subject over something never sees the colour outside of it.
        bleed = job.finish.bleed and not {"cutout", "foreground"}.isdisjoint(plan.paths)
        shadow, finish = plan_finish(plan.keyer.shadow, replace(job.finish, bleed=bleed, transfer=mixed_in))
        on_device = choose_place(job.keyer.on_device, plan.paths, in_light=in_light)
        keyer = open_keyer(plate, plan.keyer, shadow=shadow, on_device=on_device, on_note=on_note)
        resources.enter_context(contextlib.closing(keyer))
        check_finish(finish, keyer)
        check_maps((*plan.paths, *job.encoding.channels), keyer)
        backdrop = None
        if job.background is not None:
            empty = None if plate is None else plate.pixels
            opened = open_backdrop(job.background, empty, mixed_in)
            backdrop = resources.enter_context(contextlib.closing(opened))
        recorder = None
        if report is not None:
            recorder = _open_recorder(keyer, report, plan.clip, begun)
            resources.callback(recorder.abort)
            begun = replace(begun, report=recorder.partial.name)
        keeping = Keeping(work, begun, every, {"plate": plate}, list(sinks.values()))
        keeping.add("keyer", keyer)
        if isinstance(backdrop, VideoBackdrop):
            keeping.add("backdrop", backdrop)
        if recorder is not None:
            keeping.add("report", recorder)
        line = _open_line(keyer, finish)

        def make_output(layer: str, sink: Sink) -> Output:
            return Output(choose_render(layer, sink, backdrop, job, transfer, line), sink)

        prepare = None if line is None else line.upload
        touch_up = finish if line is None else line.finish
        if damaged:
            again = Again(
                open_source=lambda: do_aside(lambda: open_source(plan.clip, job.reading)),
                keyer=keyer,
                prepare=prepare,
                finish=touch_up,
                make_output=make_output,
                layers={path: layer for layer, path in plan.paths.items()},
                encodings=plan.encodings,
                on_progress=on_progress,
            )
            repair(damaged, keeping, work, again, on_note)
        keeping.restore()
        if source.info.has_alpha:
            on_note(describe_source_alpha(plan.clip.name, job.keyer.source_alpha))
        for note in remind_of_alpha(job.alpha, plan.paths):
            on_note(note)

        undo.pop_all()  # from here on the run finishes the sinks
        if begun.complete:
            close_sinks(source, list(sinks.values()), on_note)
            summary = Summary(begun.frames, time.perf_counter() - began, plan.results, begun.frames)
        else:
            if begun.pts is not None:
                source.start_at(begun.frames, begun.pts)
            with _FitNotes(keyer, on_note, on_progress) as fit_notes:
                summary = run(
                    source,
                    recorder or keyer,
                    [make_output(layer, sink) for layer, sink in sinks.items()],
                    prepare=prepare,
                    finish=touch_up,
                    saving=keeping,
                    on_progress=fit_notes.tick,
                    on_note=on_note,
                )
        if recorder is not None:
            recorder.close()
            for note in recorder.tell():
                on_note(note)
        work.clear()
        return replace(summary, paths=plan.results)


def _open_recorder(keyer: Keyer | RecurrentKeyer, report: Path, clip: Path, begun: Checkpoint) -> Recorder:
    if isinstance(keyer, RecurrentKeyer):
        raise OptionError("A report tells how the plate lies, and this model has none.", "leave out --report")
    left = None if begun.report is None else report.with_name(begun.report)
    if left is not None and begun.checksum is None:  # of a run that was killed before its first segment ended
        left.unlink(missing_ok=True)
        left = None
    return Recorder(keyer, report, clip.name, overwrite=begun.overwrite, partial=left)


@contextlib.contextmanager
def _leaving(work: Work, results: Sequence[Path], on_note: Callable[[str], None]) -> Iterator[None]:
    """Say what an interrupted job leaves behind; if it has done nothing, leave nothing."""
    try:
        yield
    except BaseException:
        if not any(map(is_begun, results)):
            work.clear()
        with contextlib.suppress(DamagedError):
            left = work.read()
            if left is not None and left.frames:
                what = "only the results are to be finished" if left.complete else "the rest is to be done"
                on_note(spell(f"{left.frames} frames are done; with --resume {what}."))
        raise


def _open_line(keyer: Keyer | RecurrentKeyer, finish: Finish) -> DeviceLine | None:
    """What goes on with mattes where they stay; None: they come to main memory."""
    if keyer.device_router is None:
        return None
    from cleanplate.compositing.device.device_path import (
        DeviceLine,  # needs PyTorch, which such a router has brought
    )

    return DeviceLine(keyer.device_router, finish)


def choose_render(
    layer: str,
    sink: Sink,
    backdrop: Backdrop | None,
    job: Job,
    transfer: str,
    line: DeviceLine | None,
) -> Render:
    """How a matte becomes what a sink takes of a layer: light, or code values, which a device may make."""
    alpha = choose_alpha(sink.path, job.alpha)
    if line is not None:
        return line.render_layer(layer, backdrop, alpha=alpha)
    if sink.takes_light:
        return render_light(layer, backdrop, transfer=transfer, alpha=alpha, channels=sink.extra_channels)
    return render_layer(layer, backdrop, alpha=alpha, transfer=transfer if job.linear else None)


class _FitNotes:
    """Passes the notes of the plate's fit on once there is one: the pipeline makes it in another thread."""

    def __init__(
        self,
        keyer: Keyer | RecurrentKeyer,
        on_note: Callable[[str], None],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._keyer = keyer
        self._on_note, self._on_progress = on_note, on_progress
        self._told = False

    def __enter__(self) -> _FitNotes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tell()

    def tick(self, progress: Progress) -> None:
        """Tell them, then pass the progress on."""
        self._tell()
        if self._on_progress is not None:
            self._on_progress(progress)

    def _tell(self) -> None:
        fit = self._keyer.fit
        if fit is not None and not self._told:
            self._told = True
            for note in fit.notes:
                self._on_note(note)

"""One clip keyed into its results: everything opened, run, and closed again in the right order."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cleanplate.backdrops import VideoBackdrop, open_backdrop
from cleanplate.checkpoint import (
    Checkpoint,
    DamagedError,
    Fingerprint,
    Keeping,
    Work,
    begin,
    fingerprint,
    is_begun,
    is_done,
    versions_of,
)
from cleanplate.composite import Backdrop
from cleanplate.errors import OptionError
from cleanplate.finish import Finish, plan_finish
from cleanplate.frame import Pixels
from cleanplate.keyer import Keyer
from cleanplate.layers import (
    Background,
    PathLike,
    check_alpha,
    check_exr_options,
    check_linear,
    choose_alpha,
    choose_layers,
    choose_place,
    choose_shadow,
    encode_layer,
    needs_maps,
    plan_outputs,
    remind_of_alpha,
    render_layer,
)
from cleanplate.light_layers import render_light
from cleanplate.media import (
    AS_IT_IS,
    AS_USUAL,
    Encoding,
    Reading,
    Sink,
    Source,
    is_sequence,
    open_sink,
    open_source,
)
from cleanplate.media.files import check_writable
from cleanplate.media.segments import segment_frames
from cleanplate.models.registry import DEFAULT_MODEL, Model, find_model
from cleanplate.naming import VIDEO_SUFFIXES, protect_inputs
from cleanplate.pipeline import PROGRESS_SECONDS, Output, Progress, Render, Summary, close_sinks, run
from cleanplate.plate import Plate, load_plate
from cleanplate.plate.build import build_plate
from cleanplate.recurrent_keyer import RecurrentKeyer, check_finish, check_maps, open_keyer
from cleanplate.report import Recorder, is_finished

if TYPE_CHECKING:
    from cleanplate.device.line import DeviceLine

AUTO_PLATE = "auto"
"""In the plate's place: build it from the clip."""

NO_PLATE = "none"
"""In the plate's place: there is none, and the model needs none."""

FILES = {"scale": "fine"}
"""What the keyer of files does by default: they can wait, and quality is what they are for."""


@dataclass(frozen=True)
class VideoJob:
    """What is asked for of one clip; the fields are the arguments of :func:`cleanplate.matte_video`.

    Attributes:
        keyer: The keyword arguments of :class:`cleanplate.Keyer`.
    """

    clip: PathLike
    plate: PathLike | Pixels | Plate | None = None
    out: PathLike | None = None
    background: Background | None = None
    save: Sequence[str] | None = None
    shadow: str = "remove"
    alpha: str | None = None
    linear: bool = False
    finish: Finish = field(default_factory=Finish)
    report: PathLike | None = None
    overwrite: bool = False
    resume: bool = False
    reading: Reading = AS_IT_IS
    encoding: Encoding = AS_USUAL
    keyer: Mapping[str, Any] = field(default_factory=dict)


def run_job(
    job: VideoJob,
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
    plan = _plan(job)
    work = Work(plan.results[0])
    with contextlib.ExitStack() as resources:
        source = resources.enter_context(open_source(plan.clip, job.reading))
        every = segment_frames(source.info)
        described = _describe(job, plan, every)
        begun = begin(work, plan.results, described, resume=job.resume, overwrite=job.overwrite)
        if begun is None:
            for path in plan.results:
                on_note(f"{path.name} is complete already.")
            return Summary(0, time.perf_counter() - began, plan.results)
        begun = replace(begun, overwrite=job.overwrite or begun.overwrite)
        resources.enter_context(_leaving(work, plan.results, on_note))
        # What cannot be written is refused before anything is computed.
        report = None if begun.complete and plan.report and is_finished(plan.report) else plan.report
        if report is not None:
            check_writable(report, overwrite=begun.overwrite)
        undo = resources.enter_context(contextlib.ExitStack())
        sinks = _open_sinks(plan, source, begun, work, undo)
        work.write(begun)
        shot = plan.plate
        if plan.builds:
            begun, shot = _get_built(plan.clip, work, begun, on_progress, on_note)
        transfer = source.info.transfer
        in_light = job.linear or any(sink.takes_light for sink in sinks.values())
        mixed_in = transfer if in_light else None
        shadow, finish = plan_finish(plan.shadow, replace(job.finish, transfer=mixed_in))
        on_device = choose_place(job.keyer.get("on_device"), plan.paths, in_light=in_light)
        keyer = open_keyer(shot, shadow=shadow, on_note=on_note, **{**plan.options, "on_device": on_device})
        resources.enter_context(contextlib.closing(keyer))
        check_finish(finish, keyer)
        check_maps((*plan.paths, *job.encoding.channels), keyer)
        keeping = Keeping(work, begun, every, {"plate": shot}, list(sinks.values()))
        keeping.add("keyer", keyer)
        backdrop = None
        if job.background is not None:
            empty = None if shot is None else shot.pixels
            opened = open_backdrop(job.background, empty, mixed_in)
            backdrop = resources.enter_context(contextlib.closing(opened))
        if isinstance(backdrop, VideoBackdrop):
            keeping.add("backdrop", backdrop)
        recorder = None
        if report is not None and isinstance(keyer, RecurrentKeyer):
            raise OptionError("A report tells how the plate lies, and this model has none.", "leave it out")
        if report is not None and isinstance(keyer, Keyer):
            goes_on = begun.checksum is not None
            recorder = Recorder(keyer, report, plan.clip.name, overwrite=begun.overwrite, resume=goes_on)
            resources.callback(recorder.abort)
            keeping.add("report", recorder)
        keeping.restore()
        for note in remind_of_alpha(job.alpha, plan.paths):
            on_note(note)
        undo.pop_all()  # from here on the run finishes the sinks
        if begun.complete:
            close_sinks(source, list(sinks.values()), on_note)
            summary = Summary(begun.frames, time.perf_counter() - began, plan.results, begun.frames)
        else:
            if begun.pts is not None:
                source.start_at(begun.frames, begun.pts)
            line = _open_line(keyer, finish)
            outputs = [
                Output(choose_render(layer, sink, backdrop, job, transfer, line), sink)
                for layer, sink in sinks.items()
            ]
            with _FitNotes(keyer, on_note, on_progress) as fit_notes:
                summary = run(
                    source,
                    recorder or keyer,
                    outputs,
                    prepare=None if line is None else line.upload,
                    finish=finish if line is None else line.finish,
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


@dataclass(frozen=True)
class _Plan:
    """What follows from a job's options alone.

    Attributes:
        clip: The source.
        paths: The result of each layer.
        shadow: As it was chosen.
        plate: Where one was given.
        builds: Whether it is to be built.
        report: Where one is wanted.
        options: The keyer's, with those that files have by default and the model that was found.
        encodings: How each layer is encoded.
    """

    clip: Path
    paths: Mapping[str, Path]
    shadow: str
    plate: Plate | None
    builds: bool
    report: Path | None
    options: Mapping[str, Any]
    encodings: Mapping[str, Encoding]

    @property
    def results(self) -> tuple[Path, ...]:
        return tuple(self.paths.values())


def _plan(job: VideoJob) -> _Plan:
    clip = Path(job.clip)
    shadow = choose_shadow(job.shadow, job.save)
    layers = choose_layers(job.save, job.background, shadow)
    check_alpha(job.alpha, layers)
    check_linear(job.linear, layers)
    builds = is_word(job.plate, AUTO_PLATE)
    shot = None if builds or job.plate is None or is_word(job.plate, NO_PLATE) else load_plate(job.plate)
    inputs = [shot and shot.path, job.background, job.keyer.get("keep"), job.keyer.get("ignore")]
    paths = plan_outputs(clip, layers, job.out, VIDEO_SUFFIXES, inputs=inputs)
    encodings = {layer: encode_layer(job.encoding, path, job.alpha) for layer, path in paths.items()}
    check_exr_options(job.encoding, paths)
    report = None if job.report is None else Path(job.report)
    if report is not None:
        protect_inputs([report], [clip, *paths.values()])
    model = job.keyer.get("model", DEFAULT_MODEL)
    found = model if isinstance(model, Model) else find_model(model)
    maps = needs_maps(layers, job.encoding.channels)
    options = {**FILES, **job.keyer, "model": found, "maps": maps}
    return _Plan(clip, paths, shadow, shot, builds, report, options, encodings)


def _describe(job: VideoJob, plan: _Plan, every: int) -> Fingerprint:
    """All that the result depends on; empty if a part cannot be told from another in the next process."""
    apart = ("plate", "out", "save", "report", "overwrite", "resume", "keyer")
    parts = {entry.name: getattr(job, entry.name) for entry in fields(job) if entry.name not in apart}
    parts["plate"] = plan.plate or ("built" if plan.builds else None)
    parts["results"] = [str(path.resolve()) for path in plan.results]
    parts["layers"] = list(plan.paths)
    parts["report"] = None if plan.report is None else plan.report.resolve()
    parts["keyer"] = {name: value for name, value in plan.options.items() if name != "threads"}
    parts["version"] = versions_of("cleanplate", "av", "numpy")
    parts["segment_frames"] = every
    try:
        return fingerprint(parts)
    except OptionError:
        if job.resume:
            raise
        return {}


def _open_sinks(
    plan: _Plan,
    source: Source,
    begun: Checkpoint,
    work: Work,
    undo: contextlib.ExitStack,
) -> dict[str, Sink]:
    """A sink for each layer that is not complete; ``undo`` aborts them."""
    sinks: dict[str, Sink] = {}
    for layer, path in plan.paths.items():
        if is_done(path, begun):
            continue
        sinks[layer] = open_sink(
            path,
            source.info,
            layer=layer,
            # The pictures of a job that was begun are its own.
            overwrite=begun.overwrite or (work.is_begun and is_sequence(path)),
            encoding=plan.encodings[layer],
            segments=begun.segments.get(path.name, ()),
        )
        undo.callback(sinks[layer].abort)
    return sinks


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
                on_note(f"{left.frames} frames are done; with --resume {what}.")
        raise


def _open_line(keyer: Keyer | RecurrentKeyer, finish: Finish) -> DeviceLine | None:
    """What goes on with mattes where they stay; None: they come to main memory."""
    if keyer.device_router is None:
        return None
    from cleanplate.device.line import DeviceLine  # needs PyTorch, which such a router has brought

    return DeviceLine(keyer.device_router, finish)


def choose_render(
    layer: str,
    sink: Sink,
    backdrop: Backdrop | None,
    job: VideoJob,
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


def _get_built(
    clip: Path,
    work: Work,
    begun: Checkpoint,
    on_progress: Callable[[Progress], None] | None,
    on_note: Callable[[str], None],
) -> tuple[Checkpoint, Plate]:
    """The plate built from the clip: the one that an interrupted run has built, or a new one."""
    plate = work.recall_plate(begun)
    if plate is not None:
        return begun, plate
    plate = _build(clip, on_progress, on_note)
    begun = replace(begun, plate_checksum=work.remember_plate(plate))
    work.write(begun)
    return begun, plate


def _build(
    clip: Path, on_progress: Callable[[Progress], None] | None, on_note: Callable[[str], None]
) -> Plate:
    """Build the plate from the clip, telling how far it is about ten times a second."""
    began = told = time.monotonic()

    def tick(frames: int, total: int | None) -> None:
        nonlocal told
        now = time.monotonic()
        if on_progress is not None and now - told >= PROGRESS_SECONDS:
            told = now
            on_progress(Progress(frames, total, now - began, doing="building"))

    built = build_plate(clip, on_progress=tick)
    for note in built.notes:
        on_note(note)
    return built.plate


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


def is_word(plate: object, word: str) -> bool:
    """Whether the plate is one of the words that may stand in its place."""
    return isinstance(plate, (str, os.PathLike)) and os.fspath(plate) == word

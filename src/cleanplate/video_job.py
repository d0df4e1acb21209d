"""One clip keyed into its results: everything opened, run, and closed again in the right order."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cleanplate.backdrops import open_backdrop
from cleanplate.errors import OptionError
from cleanplate.finish import Finish, plan_finish
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.keyer import Keyer
from cleanplate.layers import (
    Background,
    PathLike,
    check_alpha,
    choose_layers,
    choose_shadow,
    plan_outputs,
    remind_of_alpha,
    render_layer,
)
from cleanplate.media import AS_IT_IS, AS_USUAL, Encoding, Reading, open_sink, open_source
from cleanplate.media.files import check_writable
from cleanplate.naming import VIDEO_SUFFIXES, protect_inputs
from cleanplate.pipeline import PROGRESS_SECONDS, Output, Progress, Render, Summary, run
from cleanplate.plate import Plate, load_plate
from cleanplate.plate.build import build_plate
from cleanplate.recurrent_keyer import RecurrentKeyer, check_finish, open_keyer
from cleanplate.report import Recorder

AUTO_PLATE = "auto"
"""In the plate's place: build it from the clip."""

NO_PLATE = "none"
"""In the plate's place: there is none, and the model needs none."""

FILES = {"scale": "fine"}
"""What the keyer of files does by default: they can wait, and quality is what they are for."""

ON_DEVICE = {"cutout", "alpha", "foreground", "composite"}
"""Layers that an accelerator finishes; a run that writes another one takes its mattes to main memory."""


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
    alpha: str = "straight"
    finish: Finish = field(default_factory=Finish)
    report: PathLike | None = None
    overwrite: bool = False
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
    clip = Path(job.clip)
    shadow = choose_shadow(job.shadow, job.save)
    layers = choose_layers(job.save, job.background, shadow)
    check_alpha(job.alpha, layers)
    encoding = replace(job.encoding, premultiplied=job.alpha == "premultiplied")
    builds = is_word(job.plate, AUTO_PLATE)
    shot = None if builds or job.plate is None or is_word(job.plate, NO_PLATE) else load_plate(job.plate)
    inputs = [shot and shot.path, job.background, job.keyer.get("keep"), job.keyer.get("ignore")]
    paths = plan_outputs(clip, layers, job.out, VIDEO_SUFFIXES, inputs=inputs)
    report = None if job.report is None else Path(job.report)
    if report is not None:
        check_writable(report, overwrite=job.overwrite)
        protect_inputs([report], [clip, *paths.values()])
    with contextlib.ExitStack() as resources:
        source = resources.enter_context(open_source(clip, job.reading))
        undo = resources.enter_context(contextlib.ExitStack())
        sinks = {}
        for layer, path in paths.items():  # what cannot be written is refused before anything is computed
            sinks[layer] = open_sink(
                path, source.info, layer=layer, overwrite=job.overwrite, encoding=encoding
            )
            undo.callback(sinks[layer].abort)
        if builds:
            shot = _build(clip, on_progress, on_note)
        shadow, finish = plan_finish(shadow, job.finish)
        on_device = None if set(layers) <= ON_DEVICE else False
        options = {**FILES, "on_device": on_device, **job.keyer}
        keyer = open_keyer(shot, shadow=shadow, on_note=on_note, **options)
        resources.enter_context(contextlib.closing(keyer))
        check_finish(finish, keyer)
        backdrop = None
        empty = None if shot is None else shot.pixels
        if job.background is not None:
            backdrop = resources.enter_context(contextlib.closing(open_backdrop(job.background, empty)))
        recorder = None
        if report is not None and isinstance(keyer, RecurrentKeyer):
            raise OptionError("A report tells how the plate lies, and this model has none.", "leave it out")
        if report is not None and isinstance(keyer, Keyer):
            recorder = Recorder(keyer, report, clip.name, overwrite=job.overwrite)
            resources.callback(recorder.abort)
        prepare, render, last_touch = _choose_line(keyer, finish)
        outputs = [Output(render(layer, backdrop, alpha=job.alpha), sink) for layer, sink in sinks.items()]
        for note in remind_of_alpha(job.alpha, paths):
            on_note(note)
        undo.pop_all()  # from here on the run finishes the sinks
        fit_notes = _FitNotes(keyer, on_note)

        def tick(progress: Progress) -> None:
            fit_notes.tell()
            if on_progress is not None:
                on_progress(progress)

        try:
            summary = run(
                source,
                recorder or keyer,
                outputs,
                prepare=prepare,
                finish=last_touch,
                on_progress=tick,
                on_note=on_note,
            )
        finally:
            fit_notes.tell()
        if recorder is not None:
            recorder.close()
            for note in recorder.tell():
                on_note(note)
        return summary


def _choose_line(
    keyer: Keyer | RecurrentKeyer, finish: Finish
) -> tuple[Callable[[Frame], Frame] | None, Callable[..., Render], Callable[[Matte], Matte]]:
    """What is done to frames before the keyer, and to mattes after it: where they are."""
    if keyer.device_router is not None:
        from cleanplate.device.line import DeviceLine

        line = DeviceLine(keyer.device_router, finish)
        return line.upload, line.render_layer, line.finish
    return None, render_layer, finish


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

    def __init__(self, keyer: Keyer | RecurrentKeyer, on_note: Callable[[str], None]) -> None:
        self._keyer = keyer
        self._on_note = on_note
        self._told = False

    def tell(self) -> None:
        fit = self._keyer.fit
        if fit is not None and not self._told:
            self._told = True
            for note in fit.notes:
                self._on_note(note)


def is_word(plate: object, word: str) -> bool:
    """Whether the plate is one of the words that may stand in its place."""
    return isinstance(plate, (str, os.PathLike)) and os.fspath(plate) == word

"""A photo or a clip in one call."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cleanplate.backdrops import open_backdrop
from cleanplate.composite import (
    Backdrop,
    alpha_picture,
    fold_shadow,
    over,
    premultiply,
    shadow_picture,
    straight_rgba,
)
from cleanplate.errors import OptionError
from cleanplate.finish import Finish
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.keyer import Keyer
from cleanplate.media import Picture, open_sink, open_source, read_image, write_image
from cleanplate.media.files import check_writable
from cleanplate.media.image_files import tells_premultiplied
from cleanplate.naming import (
    ALPHAS,
    LAYERS,
    VIDEO_SUFFIXES,
    is_folder,
    make_folder,
    name_outputs,
    protect_inputs,
)
from cleanplate.pipeline import PROGRESS_SECONDS, Output, Progress, Render, Summary, run
from cleanplate.plate import Plate, load_plate
from cleanplate.plate.build import build_plate
from cleanplate.recurrent_keyer import RecurrentKeyer, open_keyer
from cleanplate.report import Recorder

PathLike = str | os.PathLike[str]
Background = str | os.PathLike[str] | Pixels

AUTO_PLATE = "auto"
"""In the plate's place: build it from the clip."""

NO_PLATE = "none"
"""In the plate's place: there is none, and the model needs none."""

FILES = {"scale": "fine"}
"""What the keyer of files does by default: they can wait, and quality is what they are for."""

log = logging.getLogger("cleanplate")


@dataclass(frozen=True)
class Cutout:
    """The subject of one photo.

    Attributes:
        matte: Alpha, foreground colour, and the frame they were made from; finished, so that the subject's
            colour goes on where alpha is 0.
        plate: The plate as it was shot, for a blurred background; None where none was used.
        icc_profile: The photo's colour profile; it goes into what is saved.
    """

    matte: Matte
    plate: Plate | None
    icc_profile: bytes | None = None

    @property
    def alpha(self) -> npt.NDArray[np.float32]:
        """float32 in [0, 1], ``(height, width)``."""
        return self.matte.alpha

    @property
    def foreground(self) -> Pixels:
        """The subject's own colour, not multiplied by alpha: the photo's type, ``(height, width, 3)``."""
        return self.matte.foreground

    def rgba(self) -> Pixels:
        """Straight RGBA, ``(height, width, 4)``, in the photo's type."""
        return straight_rgba(self.matte)

    def composite(self, background: Background) -> Pixels:
        """The subject over something else, ``(height, width, 3)``, in the photo's type.

        Args:
            background: A colour (``"#00b140"``, ``"white"``), ``"blur"``, the path of a picture or of a video
                (its first frame), or pixels.
        """
        empty = None if self.plate is None else self.plate.pixels
        with contextlib.closing(open_backdrop(background, empty)) as backdrop:
            return render_layer("composite", backdrop)(self.matte)

    def save(
        self,
        path: PathLike,
        *,
        layer: str = "cutout",
        background: Background | None = None,
        alpha: str = "straight",
        overwrite: bool = False,
    ) -> None:
        """Write one layer; the suffix chooses the format: PNG, TIFF, WebP, or JPEG, which has no alpha.

        Args:
            path: The file.
            layer: ``cutout`` (RGBA), ``alpha``, ``foreground``, ``composite`` or ``shadow``: what it
                leaves of the light, white where there is none.
            background: For the composite, see :meth:`composite`.
            alpha: ``straight``, or ``premultiplied``: the cut-out's colour is multiplied by alpha. TIFF says
                so in the file, PNG and WebP cannot.
            overwrite: Replace a file that is there already.

        Raises:
            OptionError: An unknown layer or kind of alpha, a composite without a background, a shadow that
                was not measured.
            OutputError: It cannot be written.
        """
        if layer == "shadow" and self.matte.shadow is None:
            raise OptionError("The shadow was not measured.", "cut out with shadow='separate'")
        if layer == "composite" and background is not None:
            pixels = self.composite(background)
        else:
            pixels = render_layer(layer, None, alpha=alpha)(self.matte)
        write_image(
            Path(path),
            pixels,
            icc_profile=self.icc_profile,
            overwrite=overwrite,
            premultiplied=alpha == "premultiplied",
        )


def matte_image(
    photo: PathLike | Pixels,
    plate: PathLike | Pixels | Plate | None = None,
    *,
    finish: Finish | None = None,
    on_note: Callable[[str], None] = log.warning,
    **keyer_options: Any,
) -> Cutout:
    """Cut the subject out of one photo.

    Args:
        photo: A picture file, or RGB pixels ``(height, width, 3)`` of uint8 or uint16.
        plate: The picture of the empty set, likewise; None or ``"none"`` for a model that needs none.
        finish: The last touch, as :class:`cleanplate.finish.Finish`; the default one if None.
        on_note: Told what the user should know, in sentences; by default the log.
        keyer_options: Those of :class:`cleanplate.Keyer`: model, runtime, device, scale (``fine`` if not
            given), refine, align, shadow, keep, ignore ...

    Raises:
        CleanplateError: A file, a value or this machine does not allow it.
    """
    if _is_word(plate, AUTO_PLATE):
        raise OptionError("A plate can be built from a clip, not from one photo.", "give a plate")
    picture = Picture(photo, None, None) if isinstance(photo, np.ndarray) else read_image(Path(photo))
    shot = None if plate is None or _is_word(plate, NO_PLATE) else load_plate(plate)
    shadow, finish = plan_finish(keyer_options.pop("shadow", "remove"), finish)
    asked = {**FILES, **keyer_options, "shadow": shadow}
    with contextlib.closing(open_keyer(shot, on_note=on_note, **asked)) as keyer:
        return cut_out(picture, shot, keyer, finish, on_note)


def cut_out(
    picture: Picture,
    plate: Plate | None,
    keyer: Keyer | RecurrentKeyer,
    finish: Finish,
    on_note: Callable[[str], None],
) -> Cutout:
    """Key and finish one picture, with a keyer that may have served others: it has no part in those."""
    frame = Frame(picture.pixels)
    check_finish(finish, keyer)
    if isinstance(keyer, RecurrentKeyer):
        keyer.forget()
    else:
        for note in keyer.refit(frame).notes:
            on_note(note)
    return Cutout(finish(keyer(frame)), plate, picture.icc_profile)


def check_finish(finish: Finish, keyer: Keyer | RecurrentKeyer) -> None:
    """Refuse to take off the colour of a plate where there is none.

    Raises:
        OptionError: That was asked for.
    """
    if finish.despill > 0 and isinstance(keyer, RecurrentKeyer):
        raise OptionError(
            "Despill takes the plate's colour off, and this model works without a plate.",
            "leave despill out, or choose another model",
        )


def plan_finish(shadow: str, finish: Finish | None) -> tuple[str, Finish]:
    """What to ask of the keyer, and how to finish: a shadow that is kept is put into alpha at the end."""
    finish = finish or Finish()
    return ("separate", replace(finish, keep_shadow=True)) if shadow == "keep" else (shadow, finish)


def matte_video(
    clip: PathLike,
    plate: PathLike | Pixels | Plate | None = None,
    out: PathLike | None = None,
    *,
    background: Background | None = None,
    save: Sequence[str] | None = None,
    shadow: str = "remove",
    alpha: str = "straight",
    finish: Finish | None = None,
    report: PathLike | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None] = log.warning,
    **keyer_options: Any,
) -> Summary:
    """Cut the subject out of every frame of a clip: times, colour tags and sound stay as they are.

    Args:
        clip: A video file, or a numbered sequence such as ``name_%05d.png``.
        plate: The picture of the empty set: a file or RGB pixels; ``"auto"``, to build it from the clip; None
            or ``"none"``, for a model that needs none.
        out: The result's file, whose suffix chooses the format (``.mov``, ``.webm``, ``.mkv``,
            ``name_%05d.png``, and ``.mp4``, which has no alpha), or a folder; beside the clip if None.
        background: What to put behind the subject in the composite: a colour, ``"blur"``, a picture, a video.
        save: Layers to write, out of ``cutout``, ``alpha``, ``foreground``, ``composite``, ``shadow``. By
            default the cutout, or the composite if there is a background. Several go to files named after
            ``out``.
        shadow: ``remove`` it, ``keep`` it in alpha, or write it as a layer of its own (``separate``).
        alpha: ``straight``, or ``premultiplied``: the cut-out's colour is multiplied by alpha. TIFF says so
            in the file; for the other formats a note reminds of it.
        finish: The last touch, as :class:`cleanplate.finish.Finish`; the default one if None.
        report: Write down there, as JSON, what happened to every frame (:mod:`cleanplate.report`); which to
            look at, ``on_note`` is told.
        overwrite: Replace results that exist.
        on_progress: Called about ten times a second, in this thread.
        on_note: Told what the user should know, in sentences, in this thread; by default the log.
        keyer_options: Those of :class:`cleanplate.Keyer`: model, runtime, device, scale (``fine`` if not
            given), refine, align, follow, keep, ignore ...

    Raises:
        CleanplateError: A file, a value or this machine does not allow it. What was written until then is
            kept under a temporary name, which ``on_note`` is told.
        KeyboardInterrupt: Likewise.
    """
    clip = Path(clip)
    shadow = choose_shadow(shadow, save)
    layers = choose_layers(save, background, shadow)
    check_alpha(alpha, layers)
    builds = _is_word(plate, AUTO_PLATE)
    shot = None if builds or plate is None or _is_word(plate, NO_PLATE) else load_plate(plate)
    inputs = [shot and shot.path, background, keyer_options.get("keep"), keyer_options.get("ignore")]
    paths = plan_outputs(clip, layers, out, VIDEO_SUFFIXES, inputs=inputs)
    if report is not None:
        check_writable(Path(report), overwrite=overwrite)
        protect_inputs([Path(report)], [clip, *paths.values()])
    with contextlib.ExitStack() as resources:
        source = resources.enter_context(open_source(clip))
        undo = resources.enter_context(contextlib.ExitStack())
        sinks = {}
        for layer, path in paths.items():  # what cannot be written is refused before anything is computed
            sinks[layer] = open_sink(
                path,
                source.info,
                layer=layer,
                overwrite=overwrite,
                premultiplied=alpha == "premultiplied",
            )
            undo.callback(sinks[layer].abort)
        if builds:
            shot = _build(clip, on_progress, on_note)
        shadow, finish = plan_finish(shadow, finish)
        keyer = open_keyer(shot, shadow=shadow, on_note=on_note, **{**FILES, **keyer_options})
        resources.enter_context(contextlib.closing(keyer))
        check_finish(finish, keyer)
        backdrop = None
        empty = None if shot is None else shot.pixels
        if background is not None:
            backdrop = resources.enter_context(contextlib.closing(open_backdrop(background, empty)))
        recorder = None
        if report is not None and isinstance(keyer, RecurrentKeyer):
            raise OptionError("A report tells how the plate lies, and this model has none.", "leave it out")
        if report is not None and isinstance(keyer, Keyer):
            recorder = Recorder(keyer, Path(report), clip.name, overwrite=overwrite)
            resources.callback(recorder.abort)
        outputs = [Output(render_layer(layer, backdrop, alpha=alpha), sink) for layer, sink in sinks.items()]
        for note in remind_of_alpha(alpha, paths):
            on_note(note)
        undo.pop_all()  # from here on the run finishes the sinks
        fit_notes = _FitNotes(keyer, on_note)

        def tick(progress: Progress) -> None:
            fit_notes.tell()
            if on_progress is not None:
                on_progress(progress)

        try:
            summary = run(
                source, recorder or keyer, outputs, finish=finish, on_progress=tick, on_note=on_note
            )
        finally:
            fit_notes.tell()
        if recorder is not None:
            recorder.close()
            for note in recorder.tell():
                on_note(note)
        return summary


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


def _is_word(plate: object, word: str) -> bool:
    """Whether the plate is one of the words that may stand in its place."""
    return isinstance(plate, (str, os.PathLike)) and os.fspath(plate) == word


def choose_shadow(shadow: str, save: Sequence[str] | None) -> str:
    """What becomes of the shadow: who saves it as a layer wants it separate.

    Raises:
        OptionError: It was asked for in alpha and as a layer.
    """
    if save is None or "shadow" not in save:
        return shadow
    if shadow == "keep":
        raise OptionError(
            "The shadow was asked for in alpha and as a layer.", "use --shadow separate to save it"
        )
    return "separate"


def choose_layers(
    save: Sequence[str] | None, background: Background | None, shadow: str = "remove"
) -> tuple[str, ...]:
    """What to write: each layer once. A background asks for the composite, a separate shadow for itself.

    Raises:
        OptionError: An unknown layer, none, or a composite without a background or the other way round.
    """
    asked_apart = ("shadow",) if shadow == "separate" else ()
    if save is None:
        return ("cutout" if background is None else "composite", *asked_apart)
    named = (save,) if isinstance(save, str) else tuple(save)
    layers = tuple(dict.fromkeys(named + asked_apart))
    for layer in layers:
        _check_layer(layer)
    if not named:
        raise OptionError("There is no layer to save.", f"name some out of {', '.join(LAYERS)}")
    if "composite" in layers and background is None:
        raise OptionError("A composite needs a background.", "add --background '#00b140', blur or a file")
    if "composite" not in layers and background is not None:
        raise OptionError(
            f"The background is not used by what is saved: {', '.join(layers)}.", "add composite to --save"
        )
    return layers


def check_alpha(alpha: str, layers: Sequence[str]) -> None:
    """Refuse a kind of alpha that there is not, or that nothing of what is saved would have.

    Raises:
        OptionError: It is one of these.
    """
    if alpha not in ALPHAS:
        raise OptionError(f"Expected alpha as {' or '.join(ALPHAS)}, got '{alpha}'.")
    if alpha == "premultiplied" and "cutout" not in layers:
        raise OptionError(
            f"Only a cut-out can be premultiplied, and what is saved is {', '.join(layers)}.",
            "add cutout to --save",
        )


def remind_of_alpha(alpha: str, outputs: Mapping[str, Path]) -> list[str]:
    """What to tell of a premultiplied cut-out whose format cannot tell it."""
    path = outputs.get("cutout")
    if alpha == "straight" or path is None or tells_premultiplied(path):
        return []
    return [
        f"{path.name} is premultiplied, which its format has no tag for: "
        "tell so the program that reads it, or it will multiply again."
    ]


def plan_outputs(
    source: Path,
    layers: Sequence[str],
    out: PathLike | None,
    suffixes: dict[str, str],
    inputs: Sequence[object] = (),
) -> dict[str, Path]:
    """Name the file of each layer, make the folder it was asked into, and keep away from what is read."""
    out = None if out is None else os.fspath(out)
    if out is not None and is_folder(out):
        make_folder(out)
    paths = name_outputs(source, layers, out, suffixes)
    files = [Path(item) for item in inputs if isinstance(item, (str, os.PathLike))]
    protect_inputs(paths.values(), [source, *files])
    return paths


def render_layer(layer: str, backdrop: Backdrop | None, *, alpha: str = "straight") -> Render:
    """What turns a matte into the pixels of a layer; ``alpha`` is the cut-out's.

    Raises:
        OptionError: An unknown layer or kind of alpha, or a composite without a backdrop.
    """
    _check_layer(layer)
    check_alpha(alpha, [layer, "cutout"])
    if layer == "cutout" and alpha == "premultiplied":
        return lambda matte: premultiply(straight_rgba(matte))
    if layer == "cutout":
        return straight_rgba
    if layer == "alpha":
        return alpha_picture
    if layer == "foreground":
        return lambda matte: matte.foreground
    if layer == "shadow":
        return shadow_picture
    if backdrop is None:
        raise OptionError("A composite needs a background.", "add --background '#00b140', blur or a file")
    return lambda matte: _lay_over(fold_shadow(matte), backdrop)


def _lay_over(matte: Matte, backdrop: Backdrop) -> Pixels:
    return over(matte.foreground, matte.alpha, backdrop(matte.frame))


def _check_layer(layer: str) -> None:
    if layer not in LAYERS:
        raise OptionError(f"Unknown layer {layer!r}.", f"known: {', '.join(LAYERS)}")

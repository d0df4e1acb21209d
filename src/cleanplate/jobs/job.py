"""One job: a photo or a clip, its results, and all options."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.vocabulary import (
    ALPHAS,
    LAYERS,
    PLATE_MOTIONS,
    Encoding,
    FinishOptions,
    KeyerOptions,
    Reading,
    option,
)
from cleanplate.vocabulary.options import parse_offset, parse_split_seconds, parse_workers
from cleanplate.vocabulary.words import check_word

if TYPE_CHECKING:
    from cleanplate.compositing.layers import Background, PathLike
    from cleanplate.plate.mixing.plate_set import PlateLike

AUTO_PLATE = "auto"
"""Word for the plate: build it from the clip."""

NO_PLATE = "none"
"""Word for the plate: none, for a model without a plate."""

FILES = {"scale": "fine"}
"""Default options of the keyer for files, which can wait."""

CLIPS = {**FILES, "on_device": None}
"""Default options of the keyer for clips: mattes stay on an accelerator where that is faster."""


@dataclass(frozen=True)
class Job:
    """One photo or clip with its results and options: the arguments of :func:`cleanplate.matte_video`.

    Attributes:
        clip: A video file, or a numbered sequence such as ``name_%05d.png``; or a photo; ``-`` for standard
            input, or a named pipe.
        plate: The picture of the empty set: a file, RGB pixels or a plate; several in different light, which
            are mixed for each frame; ``"auto"``, to build it from the clip; None or ``"none"``, for a model
            that needs none.
        out: The result's file, whose suffix chooses the format (``.mov``, ``.webm``, ``.mkv``,
            ``name_%05d.png``, and ``.mp4``, which has no alpha), or a folder; beside the clip if None; ``-``
            for standard output, or a named pipe.
        plate_motion: One of :data:`~cleanplate.vocabulary.PLATE_MOTIONS`: ``same`` for a still camera. The
            others are for a clip of the empty set that was shot with the same camera move, whose frames
            belong to the source's by their numbers (``index``), by ``timecode``, or by their content
            (``search``).
        plate_offset: With ``index`` and ``timecode``, frames, or seconds as ``"0.5s"``, that are added to
            the number of the plate's frame.
        save: Layers to write, any of ``cutout``, ``alpha``, ``foreground``, ``composite``, ``shadow``,
            ``error``, ``refine`` and ``hint`` (a coarse alpha for other keyers). By default the cutout, or
            the composite if there is a background. Several go to files named after ``out``.
        background: Backdrop of the composite: a colour, ``"blur"``, a picture, a video.
        background_colour: Colour space of the backdrop behind a log or ACES source; None: sRGB, and for
            floats light of the primaries of BT.709.
        alpha: ``straight``, or ``premultiplied``: the cut-out's colour is multiplied by alpha. TIFF says so
            in the file; for the other formats there is a note. If None, premultiplied for EXR and
            straight elsewhere.
        linear: Mix the composite in linear light; EXR always holds linear light.
        report: JSON file with the fit, light and confidence of every frame (:mod:`cleanplate.jobs.report`).
        profile: JSON file in Chrome's trace format with the work of each thread.
        overwrite: Replace results that exist, and the files of an interrupted run.
        resume: Continue an interrupted or killed run with the same arguments; without one, begin at the first
            frame. Results that exist are left as they are, whatever options they were made with.
        split_seconds: Length of the spans that a clip is cut into, each of which can be keyed elsewhere. The
            keyer is then ``locked_off``, so that the joined spans equal a whole run with ``locked_off``. A
            span has whole segments, about five seconds each. None: one run.
        workers: Largest number of frames, or photos of a folder, that are keyed at the same time; ``auto``
            depends on cores, size and memory. The results are the same. A clip has one worker without ONNX
            Runtime on the CPU, and without a plate.
        finish: Options of the last step on each matte.
        keyer: Options of network, plate and regions.
        reading: Options of reading the clip.
        encoding: Codec, quality and the like.
    """

    clip: PathLike
    plate: PlateLike | Sequence[PlateLike] | None = option(
        None,
        "--plate",
        "picture of the empty set, or several to mix; auto: build it from the clip; none",
        metavar="PLATE",
        type=Path,
        path="if it exists",
        one_or_several=True,
        fingerprint=False,
    )
    out: PathLike | None = option(
        None,
        "--output",
        "file or folder of the result",
        short="-o",
        metavar="OUT",
        path="always",
        fingerprint=False,
    )
    plate_motion: str = option(
        "same",
        "--plate-motion",
        "plate clip of a moving camera: index, timecode or search (default: same)",
        words=PLATE_MOTIONS,
        metavar="HOW",
        video=True,
        group="plate",
    )
    plate_offset: int | str = option(
        0,
        "--plate-offset",
        "offset of the plate's clip in frames, or in seconds (0.5s)",
        metavar="N",
        video=True,
        group="plate",
    )
    save: Sequence[str] | None = option(
        None,
        "--save",
        "layers: " + ", ".join(LAYERS),
        words=LAYERS,
        metavar="LAYER",
        several=True,
        fingerprint=False,
    )
    background: Background | None = option(
        None,
        "--background",
        "backdrop of the composite: colour, picture, video or 'blur'",
        metavar="WHAT",
        path="if it exists",
    )
    background_colour: str | None = option(
        None,
        "--background-colour",
        "colour space of the backdrop (default: srgb)",
        metavar="SPACE",
        group="colour",
        needs="background",
    )
    alpha: str | None = option(
        None,
        "--alpha",
        "colour of cut-outs: independent of alpha, or multiplied (default in EXR)",
        words=ALPHAS,
        group="colour",
    )
    linear: bool = option(
        False, "--linear", "mix the composite in linear light, not in code values", group="colour"
    )
    report: PathLike | None = option(
        None,
        "--report",
        "write the fit, light and confidence of every frame to this file",
        metavar="JSON",
        group="running",
        type=Path,
        path="always",
        video=True,
        fingerprint=False,
    )
    profile: PathLike | None = option(
        None,
        "--profile",
        "write the work of each thread to this file (Chrome's trace format)",
        metavar="JSON",
        group="running",
        type=Path,
        path="always",
        video=True,
        fingerprint=False,
    )
    overwrite: bool = option(False, "--overwrite", "replace results that exist", fingerprint=False)
    resume: bool = option(False, "--resume", "continue an interrupted run", video=True, fingerprint=False)
    split_seconds: float | None = option(
        None,
        "--split-seconds",
        "cut the clip into spans of N seconds, for --jobs or --on; implies --locked-off",
        metavar="N",
        group="many clips, many machines",
        video=True,
        type=float,
    )
    workers: int | str = option(
        "auto",
        "--workers",
        "frames, or photos of a folder, keyed at the same time (default: {default})",
        metavar="N",
        group="running",
        fingerprint=False,
    )
    finish: FinishOptions = field(default_factory=FinishOptions)
    keyer: KeyerOptions = field(default_factory=lambda: KeyerOptions(scale="fine", on_device=None))
    reading: Reading = field(default_factory=Reading)
    encoding: Encoding = field(default_factory=Encoding)

    def __post_init__(self) -> None:
        parse_workers(self.workers)
        if self.split_seconds is not None:
            parse_split_seconds(self.split_seconds)
        check_word("the plate's motion", self.plate_motion, PLATE_MOTIONS)
        parse_offset(self.plate_offset)


OPTIONS: tuple[type, ...] = (Job, FinishOptions, KeyerOptions, Encoding, Reading)
"""All classes of options, in the order of the help."""


def is_word(plate: object, word: str) -> bool:
    """Tell whether the plate is one of the words that may stand in its place."""
    return isinstance(plate, (str, os.PathLike)) and os.fspath(plate) == word

"""Options of keyer and finish: each one field, from which everything else is derived.

The command line, the columns of a manifest, the keywords of :func:`cleanplate.matte_image` and
:func:`cleanplate.matte_video`, and the fingerprint of an interrupted job come from these fields, from
those of reading and encoding (``media_options``), and from those of :class:`cleanplate.jobs.job.Job`.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.errors import OptionError
from cleanplate.vocabulary.flags import option
from cleanplate.vocabulary.words import (
    PRECISIONS,
    PROPS_MODES,
    RUNTIMES,
    SHADOWS,
    SOURCE_ALPHAS,
    check_word,
)

if TYPE_CHECKING:
    from cleanplate.frame import Pixels
    from cleanplate.keyer.hints.hint_sources import HintSpec
    from cleanplate.keyer.regions import RegionSpec
    from cleanplate.models.registry import Model
    from cleanplate.plate import Plate
    from cleanplate.router import Refine
    from cleanplate.runtimes import Runtime

DEFAULT_MODEL = "lite"

AUTO_MODEL = "auto"
"""Word for the fastest of the package's models here: ``lite-int8`` or ``lite``."""

SCALES = (0.125, 1.0)
"""Limits of the coarse input's size over the frame's."""

MOST_PIXELS = 64
"""Limit of choke and blur, in pixels: a bound on the run time, not found by measuring."""

MOST_AREA = 1_000_000
"""Limit of the area of specks, in pixels: a larger one is a wrong unit. Not found by measuring."""

_REGION = "picture, video, rect:x,y,w,h[,feather] or polygon:x,y,...[,feather=f]"


@dataclass(frozen=True)
class KeyerOptions:
    """Options of network, plate and regions: the keywords of :class:`cleanplate.Keyer`.

    Attributes:
        model: Name or path of a model, or the model; ``auto``: ``lite-int8`` for ONNX Runtime on a CPU with
            VNNI, ``lite`` elsewhere.
        runtime: Name of a runtime, ``auto``, or an open runtime with its own model and device.
        device: ``auto``, ``cpu``, ``cuda`` ...; the device is used or refused, never replaced.
        precision: Number format of the network: ``auto``, or one that the runtime offers.
        scale: Coarse input over frame, in [0.125, 1]; ``auto`` is the model's choice for the frame's size in
            real time, ``fine`` for runs that may take twice as long.
        refine: Cells to refine, as in :meth:`cleanplate.router.Refine.parse`; ``auto`` is the model's choice.
        align: Whether the plate may be registered to the camera's position.
        follow: Whether the plate is updated from frame to frame: small motion of the camera, light, and
            permanent changes of the scene. For frames of one shot, in order.
        locked_off: Whether camera and light are still for the whole clip: the plate is fitted to the first
            frame and stays as it is. A frame's matte then depends on that frame and the fit alone.
        look_seconds: With ``follow``, time between two checks of light and scene; 0: at every frame.
        shadow: Treatment of the subject's shadow: ``remove``; ``keep`` in alpha, as black; ``separate``, in
            :attr:`Matte.shadow`.
        keep: Region of the subject, as :func:`cleanplate.keyer.regions.open_region` takes it.
        ignore: Region outside of the subject. Where both regions overlap, ``keep`` wins.
        props: A second plate: the set with things in it, without the subject. Needs an empty plate, too.
        props_mode: Treatment of things in the frame that the second plate shows and the empty one does not:
            ``keep`` them with the subject, or ``drop`` them.
        hint: The user's strokes, as :func:`cleanplate.keyer.hints.hint_sources.open_hint` takes it:
            white is subject, black background, grey or transparent unknown. It changes alpha where the
            network is unsure or wrong, and is carried through a clip.
        source_alpha: ``use``: the alpha of frames that have one is multiplied into the matte, so that
            transparent parts are not the subject; ``ignore`` it.
        input_colour: Colour space of the frames: a word of :data:`cleanplate.vocabulary.words.INPUT_COLOURS`,
            or the name of a space of OpenColorIO's configuration; ``auto`` follows the file's metadata. The
            networks see a display rendering of log and ACES frames; mattes have the frames' own values.
        plate_colour: Colour space of the plate, with the same names; None: that of the frames.
        threads: CPU threads within an operator of the network; None for one per core.
        maps: Whether mattes come with :attr:`Matte.error` and :attr:`Matte.refined`.
        on_device: Whether mattes stay on the runtime's device, as
            :class:`cleanplate.compositing.device.device_matte.DeviceMatte`. None: on an accelerator with a
            memory of its own, unless an option needs main memory.

    Raises:
        OptionError: A value is out of range.
    """

    model: str | Path | Model = option(
        DEFAULT_MODEL,
        "--model",
        "name or file of a model; auto: lite-int8 where it is faster (default: {default}, on all machines)",
        metavar="NAME",
        group="network",
    )
    runtime: str | Runtime[Any] = option(
        "auto",
        "--runtime",
        "library for the network: auto, " + ", ".join(RUNTIMES),
        metavar="NAME",
        group="network",
    )
    device: str = option(
        "auto", "--device", "device for the network: auto, cpu, cuda, ...", metavar="NAME", group="network"
    )
    precision: str = option(
        "auto",
        "--precision",
        f"number format: auto, {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]} (PyTorch)",
        metavar="NAME",
        group="network",
    )
    scale: float | str = option(
        "auto",
        "--scale",
        "coarse input as a share of the frame: auto (real time), fine, 0.125..1 (default: {default})",
        group="network",
    )
    refine: str | Refine = option(
        "auto",
        "--refine",
        "pixels to refine: auto, sampling:80000, threshold:0.1 or full",
        metavar="HOW",
        group="network",
        needs="plate",
    )
    align: bool = option(
        True,
        "--no-align",
        "use the plate as it is, without registration to the camera",
        group="plate",
        needs="plate",
    )
    follow: bool = option(
        False,
        "--follow",
        "update the plate during the clip: light, small motion, moved objects",
        video=True,
        needs="plate",
    )
    locked_off: bool = option(
        False,
        "--locked-off",
        "fit the plate to the first frame alone: still camera, constant light",
        video=True,
        group="plate",
        needs="plate",
    )
    look_seconds: float = option(0.0)
    shadow: str = option(
        "remove",
        "--shadow",
        "remove the subject's shadow, keep it in alpha, or write it to its own file",
        words=SHADOWS,
        needs="plate",
    )
    keep: RegionSpec | None = option(
        None,
        "--keep",
        f"region of the subject: {_REGION}",
        metavar="REGION",
        path="if it exists",
        group="matte",
    )
    ignore: RegionSpec | None = option(
        None,
        "--ignore",
        "region without the subject, in the same forms",
        metavar="REGION",
        path="if it exists",
        group="matte",
    )
    hint: HintSpec | None = option(
        None,
        "--hint",
        "strokes or rough matte: white subject, black background, grey unknown",
        metavar="FILE",
        path="if it exists",
        group="matte",
        needs="plate",
    )
    props: str | Path | Pixels | Plate | None = option(
        None,
        "--props",
        "picture of the set with its props (chair, microphone), without the subject",
        metavar="PLATE",
        type=Path,
        path="if it exists",
        group="plate",
        needs="plate",
    )
    props_mode: str = option(
        "keep",
        "--props-mode",
        "keep props with the subject (default), or drop them",
        words=PROPS_MODES,
        metavar="MODE",
        group="plate",
        needs="props",
    )
    source_alpha: str = option(
        "use",
        "--source-alpha",
        "alpha channel of the source: use (default) or ignore",
        words=SOURCE_ALPHAS,
        metavar="HOW",
        group="matte",
    )
    input_colour: str = option(
        "auto",
        "--input-colour",
        "colour space of the source: auto, srgb, slog3, logc3, logc4, vlog ... (docs)",
        metavar="SPACE",
        group="colour",
    )
    plate_colour: str | None = option(
        None,
        "--plate-colour",
        "colour space of the plate (default: the source's)",
        metavar="SPACE",
        group="colour",
        needs="plate",
    )
    threads: int | None = option(None, fingerprint=False)
    maps: bool = option(False)
    on_device: bool | None = option(False)

    def __post_init__(self) -> None:
        if self.shadow not in SHADOWS:
            raise OptionError(f"Expected the shadow as {', '.join(SHADOWS)}, got '{self.shadow}'.")
        if self.source_alpha not in SOURCE_ALPHAS:
            words = " or ".join(SOURCE_ALPHAS)
            raise OptionError(f"Expected the source alpha as {words}, got '{self.source_alpha}'.")
        if self.locked_off and self.follow:
            raise OptionError(
                "A locked-off plate stays as it is, and --follow updates it.",
                "leave out --follow or --locked-off",
            )
        check_word("the props' mode", self.props_mode, PROPS_MODES)
        parse_scale(self.scale)


def parse_scale(scale: float | str) -> float | None:
    """Read ``auto`` and ``fine`` as None, and everything else as a number within ``SCALES``."""
    if scale in ("auto", "fine"):
        return None
    try:
        value = float(scale)
    except (TypeError, ValueError):
        value = math.nan
    if not SCALES[0] <= value <= SCALES[1]:
        raise OptionError(
            f"Expected a scale from {SCALES[0]} to {SCALES[1]:g}, 'auto' or 'fine', got {scale!r}."
        )
    return value


def parse_split_seconds(seconds: float) -> float:
    """Check the length of a span.

    Raises:
        OptionError: It is not above 0.
    """
    if not 0 < seconds < math.inf:
        raise OptionError(
            f"Expected --split-seconds above 0, got {seconds:g}.", "60 is one minute of the clip"
        )
    return seconds


def parse_workers(workers: int | str) -> int | None:
    """Read ``auto`` as None, and everything else as a number, 1 or more."""
    if workers == "auto":
        return None
    try:
        count = int(str(workers))
    except ValueError:
        count = 0
    if count < 1:
        raise OptionError(f"Expected a number of workers of 1 or more, or 'auto', got {workers!r}.")
    return count


def parse_offset(offset: int | str) -> int | Fraction:
    """Read an offset of a plate's clip: a number of frames as int, seconds (``0.5s``) as a fraction."""
    text = str(offset).strip()
    try:
        return Fraction(text[:-1]) if text.endswith("s") else int(text)
    except (ValueError, ZeroDivisionError):
        raise OptionError(
            f"Expected a plate offset as frames or seconds, got '{offset}'.", "write 12, -3 or 0.5s"
        ) from None


def parse_area(text: str) -> float:
    """Read an area in pixels, ``200px`` or ``200``; an argparse error for any other text."""
    try:
        return float(text.removesuffix("px"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an area in pixels such as 200px, got '{text}'") from None


@dataclass(frozen=True)
class FinishOptions:
    """Options of the last step on a matte, before layers are made.

    Attributes:
        despill: Share of the background's colour that is removed from edges and translucent parts, 0 to 1.
        choke_pixels: Distance that the edge of alpha is moved in, -64 to 64; outward if negative.
        blur_pixels: Standard deviation of a blur of alpha, 0 to 64.
        gamma: Alpha to the power of its inverse, 0.1 to 10: above 1, translucent parts get denser.
        despeckle: Islands and holes of alpha below this area are removed, in pixels of the source; 0: none.
            In clips, larger ones up to twice the area, too, until they have lasted for five frames.
        keep_shadow: Put a measured shadow into alpha.
        bleed: Continue the subject's colour outward, for programs that read colour where alpha is 0. If
            False, this is done only where ``despill`` or a grown alpha needs it.
        transfer: Transfer function of the code values, for results that are mixed in linear light: a kept
            shadow is then converted to light for alpha; None for code values.

    Raises:
        OptionError: A value is out of range.
    """

    despill: float = option(
        0.0,
        "--despill",
        "remove the plate's colour from edges, 0 (default) to 1",
        metavar="AMOUNT",
        type=float,
        group="matte",
    )
    choke_pixels: float = option(
        0.0, "--matte-choke", "shrink alpha; grow it if negative", metavar="PIXELS", type=float, group="matte"
    )
    blur_pixels: float = option(
        0.0,
        "--matte-blur",
        "blur alpha by this standard deviation",
        metavar="PIXELS",
        type=float,
        group="matte",
    )
    gamma: float = option(
        1.0,
        "--matte-gamma",
        "make translucent parts denser (above 1) or thinner (below 1)",
        metavar="G",
        type=float,
        group="matte",
    )
    despeckle: float = option(
        0.0,
        "--despeckle",
        "remove islands and holes of alpha below this area in pixels: 200px",
        metavar="AREA",
        type=parse_area,
        group="matte",
    )
    keep_shadow: bool = option(False)
    bleed: bool = option(True)
    transfer: str | None = option(None)

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("despill", self.despill, 0, 1),
            ("matte choke", self.choke_pixels, -MOST_PIXELS, MOST_PIXELS),
            ("matte blur", self.blur_pixels, 0, MOST_PIXELS),
            ("matte gamma", self.gamma, 0.1, 10),
            ("despeckle", self.despeckle, 0, MOST_AREA),
        ):
            if not least <= value <= most:
                raise OptionError(f"Expected {name} from {least:g} to {most:g}, got {value:g}.")

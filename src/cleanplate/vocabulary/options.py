"""Options of keyer, finish, reading and encoding: each one field, from which everything else is derived.

The command line, the columns of a manifest, the keywords of :func:`cleanplate.matte_image` and
:func:`cleanplate.matte_video`, and the fingerprint of an interrupted job come from these fields and from
those of :class:`cleanplate.jobs.job.Job`.
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
    DAMAGE,
    DEINTERLACE,
    EXR_CHANNELS,
    HARDWARE,
    ODD_SIZES,
    PIPE_FORMATS,
    PRECISIONS,
    RUNTIMES,
    SHADOWS,
    SOURCE_ALPHAS,
    check_word,
)

if TYPE_CHECKING:
    from cleanplate.keyer.regions import RegionSpec
    from cleanplate.media.spans import Span
    from cleanplate.models.registry import Model
    from cleanplate.router import Refine
    from cleanplate.runtimes import Runtime

DEFAULT_MODEL = "lite"

SCALES = (0.125, 1.0)
"""Limits of the coarse input's size over the frame's."""

MOST_PIXELS = 64
"""Limit of choke and blur, in pixels: a bound on the run time, not found by measuring."""

_REGION = "picture, video, rect:x,y,w,h[,feather] or polygon:x,y,...[,feather=f]"


@dataclass(frozen=True)
class KeyerOptions:
    """Options of network, plate and regions: the keywords of :class:`cleanplate.Keyer`.

    Attributes:
        model: Name or path of a model, or the model.
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
        source_alpha: ``use``: the alpha of frames that have one is multiplied into the matte, so that
            transparent parts are not the subject; ``ignore`` it.
        input_colour: Colour space of the frames: a word of :data:`cleanplate.vocabulary.words.INPUT_COLOURS`,
            or the name of a space of OpenColorIO's configuration; ``auto`` follows the file's metadata. The
            networks see a display rendering of log and ACES frames; mattes have the frames' own values.
        plate_colour: Colour space of the plate, likewise; None: the frames'.
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
        "name or file of a model (default: {default})",
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
        "scale of the coarse input: auto (real time), fine or 0.125..1 (default: {default})",
        group="network",
    )
    refine: str | Refine = option(
        "auto",
        "--refine",
        "pixels to refine: auto, sampling:80000, threshold:0.1 or full",
        metavar="HOW",
        group="network",
    )
    align: bool = option(True, "--no-align", "use the plate as it is, without registration to the camera")
    follow: bool = option(
        False, "--follow", "update the plate during the clip: light, small motion, moved objects", video=True
    )
    locked_off: bool = option(
        False,
        "--locked-off",
        "fit the plate to the first frame alone: still camera, constant light",
        video=True,
    )
    look_seconds: float = option(0.0)
    shadow: str = option(
        "remove",
        "--shadow",
        "remove the subject's shadow, keep it in alpha, or write it to its own file",
        words=SHADOWS,
    )
    keep: RegionSpec | None = option(
        None, "--keep", f"region of the subject: {_REGION}", metavar="REGION", path="if it exists"
    )
    ignore: RegionSpec | None = option(
        None, "--ignore", f"region without the subject: {_REGION}", metavar="REGION", path="if it exists"
    )
    source_alpha: str = option(
        "use",
        "--source-alpha",
        "alpha channel of the source: use (default) or ignore",
        words=SOURCE_ALPHAS,
        metavar="HOW",
    )
    input_colour: str = option(
        "auto",
        "--input-colour",
        "colour space of the source: auto, srgb, slog3, logc3, logc4, vlog ... (docs)",
        metavar="SPACE",
    )
    plate_colour: str | None = option(
        None, "--plate-colour", "colour space of the plate (default: the source's)", metavar="SPACE"
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


@dataclass(frozen=True)
class FinishOptions:
    """Options of the last step on a matte, before layers are made.

    Attributes:
        despill: Share of the background's colour that is removed from edges and translucent parts, 0 to 1.
        choke_pixels: Distance that the edge of alpha is moved in, -64 to 64; outward if negative.
        blur_pixels: Standard deviation of a blur of alpha, 0 to 64.
        gamma: Alpha to the power of its inverse, 0.1 to 10: above 1, translucent parts get denser.
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
    )
    choke_pixels: float = option(
        0.0, "--matte-choke", "shrink alpha; grow it if negative", metavar="PIXELS", type=float
    )
    blur_pixels: float = option(
        0.0, "--matte-blur", "blur alpha by this standard deviation", metavar="PIXELS", type=float
    )
    gamma: float = option(
        1.0,
        "--matte-gamma",
        "make translucent parts denser (above 1) or thinner (below 1)",
        metavar="G",
        type=float,
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
        ):
            if not least <= value <= most:
                raise OptionError(f"Expected {name} from {least:g} to {most:g}, got {value:g}.")


def parse_frame_rate(text: str) -> Fraction:
    """Read 25, 29.97 or 30000/1001; an argparse error for any other text."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"expected a rate such as 25, 29.97 or 30000/1001, got '{text}'"
        ) from None


_HARDWARE: dict[str, Any] = {
    "name": "--hw",
    "help": "decode and encode by hardware: " + ", ".join(HARDWARE),
    "words": HARDWARE,
    "metavar": "KIND",
    "group": "video",
    "video": True,
}


@dataclass(frozen=True)
class Reading:
    """Options of reading a source.

    Attributes:
        frame_rate: Frames per second of a sequence; 25 if None. A video has its own rate.
        span: Part to read, in time from the first frame of the clip; its frames then begin at time 0, with
            index 0. None reads all.
        damage: Treatment of damaged or lost frames, one of :data:`~cleanplate.vocabulary.DAMAGE`: ``hold``
            repeats the frame before, so that every frame keeps its number and its time; ``drop`` leaves them
            out; ``stop`` raises :class:`~cleanplate.errors.InputError` at the first one.
        deinterlace: ``auto``: interlaced frames of a video become whole pictures of the moment of their first
            field; ``off``: their fields stay.
        hardware: Decoder of a video, one of :data:`~cleanplate.vocabulary.HARDWARE`. Pixels are the same.

    Raises:
        OptionError: A value is out of range.
    """

    frame_rate: Fraction | None = option(
        None,
        "--fps",
        "frame rate of a sequence: 24, 29.97, 30000/1001 (default: 25)",
        metavar="RATE",
        group="video",
        video=True,
        type=parse_frame_rate,
    )
    span: Span | None = option(
        None,
        "--range",
        "key only this part, as 00:10-00:42.5, 10- or =-42.5; the sound is cut to it",
        metavar="FROM-TO",
        group="video",
        video=True,
        parse="cleanplate.media.spans:Span.parse",
    )
    damage: str = option(
        "hold",
        "--damage",
        "damaged frames: repeat the frame before (default), drop them, or stop",
        words=DAMAGE,
        group="video",
        video=True,
    )
    hardware: str = option("off", **_HARDWARE)
    deinterlace: str = option(
        "auto",
        "--deinterlace",
        "interlaced frames: make whole pictures of them (auto, default), or keep their fields (off)",
        words=DEINTERLACE,
        metavar="HOW",
        group="video",
        video=True,
    )

    def __post_init__(self) -> None:
        if self.frame_rate is not None and self.frame_rate <= 0:
            raise OptionError(f"Expected a frame rate above 0, got {self.frame_rate}.")
        check_word("damage", self.damage, DAMAGE)
        check_word("deinterlacing", self.deinterlace, DEINTERLACE)
        check_word("hardware", self.hardware, HARDWARE)


@dataclass(frozen=True)
class Encoding:
    """Options of an encoder; None leaves the choice to the format.

    Attributes:
        codec: Codec that fits the suffix, as ``hevc`` or by FFmpeg's name of an encoder; if None, the first
            that keeps the source's bits, up to 10.
        quality: 1 to 100 for codecs with a choice; if None, a visually lossless quality.
        crf: Instead of a quality, the codec's own constant rate factor: 0 is the best, 51 or 63 the worst.
        premultiplied: Whether the colour of cut-outs is multiplied by alpha; tagged in TIFF, the only format
            with such a tag.
        real_time: Whether frames come from a camera: the encoder is then faster, and its files larger.
        hardware: Encoder of a video, one of :data:`~cleanplate.vocabulary.HARDWARE`.
        odd: One of :data:`~cleanplate.vocabulary.ODD_SIZES`: ``pad`` repeats the last row or column,
            ``scale`` makes the picture one smaller.
        compression: Compression of EXR, as :func:`cleanplate.media.stills.exr.parse_compression` reads it;
            ``zip`` if None.
        pipe_format: Format of a result on a pipe, one of :data:`~cleanplate.vocabulary.PIPE_FORMATS`; ``nut``
            if None.
        channels: Extra channels of EXR: any of ``matte``, ``error`` and ``refine``.

    Raises:
        OptionError: A value is out of range, or quality and rate factor are both given.
    """

    codec: str | None = option(
        None,
        "--codec",
        "h264, hevc, av1, prores-xq, png ... (docs/media.md)",
        metavar="NAME",
        group="video",
        video=True,
    )
    quality: int | None = option(
        None,
        "--quality",
        "quality from 1 to 100, for codecs with a choice",
        metavar="N",
        group="encoding",
        type=int,
    )
    crf: float | None = option(
        None,
        "--crf",
        "the codec's own rate factor; 0 is the best",
        metavar="N",
        group="video",
        video=True,
        type=float,
    )
    premultiplied: bool = option(False)
    real_time: bool = option(False)
    hardware: str = option("off", **_HARDWARE)
    odd: str = option(
        "pad",
        "--odd",
        "odd sizes, where a codec needs even ones: repeat the edge, or scale to one less",
        words=ODD_SIZES,
        group="video",
        video=True,
    )
    pipe_format: str | None = option(
        None,
        "--pipe-format",
        "format of a result on a pipe (-o -): nut (default), y4m, mkv",
        words=PIPE_FORMATS,
        metavar="NAME",
        group="video",
        video=True,
    )
    compression: str | None = option(
        None,
        "--exr-compression",
        "zip (default), zips, piz, rle, none, dwaa:45, dwab:45",
        metavar="NAME",
        group="encoding",
    )
    channels: tuple[str, ...] = option(
        (),
        "--exr-channels",
        "beside the colour in EXR: " + ", ".join(EXR_CHANNELS),
        words=EXR_CHANNELS,
        metavar="NAME",
        group="encoding",
        several=True,
    )

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise OptionError(f"Expected a quality from 1 to 100, got {self.quality}.")
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise OptionError(f"Expected a rate factor from 0 (the best) to 63, got {self.crf:g}.")
        if self.crf is not None and self.quality is not None:
            raise OptionError(
                f"A quality ({self.quality}) and a rate factor ({self.crf:g}) exclude each other.",
                "give one of them",
            )
        check_word("hardware", self.hardware, HARDWARE)
        check_word("odd", self.odd, ODD_SIZES)
        if self.pipe_format is not None:
            check_word("pipe format", self.pipe_format, PIPE_FORMATS)

"""Options of reading and encoding, as those of keyer and finish in ``options``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
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
    check_word,
)

if TYPE_CHECKING:
    from cleanplate.media.spans import Span


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
        "key only this part: 00:10-00:42.5, 10- (to the end), =-42.5 (from the start)",
        metavar="FROM-TO",
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
        "extra channels in EXR: " + ", ".join(EXR_CHANNELS),
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

"""Which container holds which layer, by which encoder, in which pixel format: one table."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from cleanplate.errors import OptionError, OutputError
from cleanplate.media.image_files import WRITABLE_SUFFIXES

Options = dict[str, str]


@dataclass(frozen=True)
class Encoder:
    """One of FFmpeg's encoders and how cleanplate drives it.

    Attributes:
        codec: FFmpeg's name.
        pixel_formats: For each layer that it can hold, the formats for sources of 8 bits and of more.
        options: From the pixel format and the user's quality (1 to 100 or None) to FFmpeg's options.
        threading: "FRAME" encodes several frames at once, "SLICE" parts of one.
        bit_depth: The most bits of a sample that survive.
        full_range: Whether full-range YUV survives; ProRes is limited range by definition.
        even: Whether height and width have to be even.
        opaque: The code value that this encoder turns into an alpha of 1, where it is not the highest one.
        hurried: Options in the place of others where frames come in real time and cores have other work.
    """

    codec: str
    pixel_formats: Mapping[str, tuple[str, str]]
    options: Callable[[str, int | None], Options]
    bit_depth: int
    threading: str = "SLICE"
    full_range: bool = True
    even: tuple[bool, bool] = (False, False)
    opaque: float | None = None
    hurried: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def available(self) -> bool:
        """Whether the FFmpeg that is installed has it."""
        try:
            Codec(self.codec, "w")
        except UnknownCodecError:
            return False
        return True


@dataclass(frozen=True)
class Container:
    """A file format for video.

    Attributes:
        name: FFmpeg's name.
        encoders: The preferred first.
        audio_codecs: How the names of the codecs begin that it holds; FFmpeg itself promises too much.
        spare_audio_codec: The encoder for all other audio.
        options: FFmpeg's options for the container.
    """

    name: str
    encoders: tuple[Encoder, ...]
    audio_codecs: tuple[str, ...]
    spare_audio_codec: str
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class SinkFormat:
    """One row of what can be written, for people to read.

    Attributes:
        suffix: Of the output's name, with the dot.
        codec: FFmpeg's name of the encoder, or of the picture format.
        alpha: Whether it holds cut-outs.
        bit_depth: The most bits of a sample that survive.
        available: Whether this machine can write it.
    """

    suffix: str
    codec: str
    alpha: bool
    bit_depth: int
    available: bool


def _fixed_quality(codec: str, quality: int | None) -> None:
    if quality is not None:
        raise OptionError(f"{codec} has one quality and takes no other, got {quality}.")


def _rate_factor(quality: int | None, default: int, worst: int) -> str:
    """A constant rate factor: 100 is 0 (the best), 1 nearly the codec's worst."""
    if quality is None:
        return str(default)
    if not 1 <= quality <= 100:
        raise OptionError(f"Expected a quality from 1 to 100, got {quality}.")
    return str(round((100 - quality) / 100 * worst))


def _prores_options(pixel_format: str, quality: int | None) -> Options:
    _fixed_quality("ProRes", quality)
    return {"profile": "4" if "444" in pixel_format else "3"}


def _prores_ks_options(pixel_format: str, quality: int | None) -> Options:
    return _prores_options(pixel_format, quality) | {"alpha_bits": "16"}


def _ffv1_options(pixel_format: str, quality: int | None) -> Options:  # noqa: ARG001
    _fixed_quality("FFV1", quality)
    return {"level": "3", "slices": "4", "slicecrc": "1"}


def _vp9_options(pixel_format: str, quality: int | None) -> Options:  # noqa: ARG001
    return {
        "crf": _rate_factor(quality, default=20, worst=63),
        "b": "0",
        "deadline": "good",
        "cpu-used": "5",
        "row-mt": "1",
        "tile-columns": "2",
        # Hidden reference frames and alpha do not go together: the alpha encoder knows nothing of them.
        "auto-alt-ref": "0",
    }


def _x264_options(pixel_format: str, quality: int | None) -> Options:  # noqa: ARG001
    return {"crf": _rate_factor(quality, default=18, worst=51), "preset": "fast"}


def _x265_options(pixel_format: str, quality: int | None) -> Options:  # noqa: ARG001
    # The encoder's own log goes to stderr, past FFmpeg's.
    options = {"crf": _rate_factor(quality, default=20, worst=51), "preset": "fast"}
    return options | {"x265-params": "log-level=none"}


# Colour alone goes into ProRes as 4:2:2, which is what edit suites expect of a finished picture; the
# foreground, which will be multiplied by an alpha as sharp as its own edge, keeps all of its chroma.
_PRORES_FORMATS = {
    "cutout": ("yuva444p10le", "yuva444p10le"),
    "alpha": ("yuv422p10le", "yuv422p10le"),
    "shadow": ("yuv422p10le", "yuv422p10le"),
    "error": ("yuv422p10le", "yuv422p10le"),
    "refine": ("yuv422p10le", "yuv422p10le"),
    "foreground": ("yuv444p10le", "yuv444p10le"),
    "composite": ("yuv422p10le", "yuv422p10le"),
}
_FFV1_FORMATS = {
    "cutout": ("bgra", "gbrap16le"),
    "alpha": ("gray", "gray16le"),
    "shadow": ("gray", "gray16le"),
    "error": ("gray", "gray16le"),
    "refine": ("gray", "gray16le"),
    "foreground": ("bgr0", "gbrp16le"),
    "composite": ("bgr0", "gbrp16le"),
}
_HURRIED_X264 = MappingProxyType({"preset": "superfast"})
_HURRIED_VP9 = MappingProxyType({"deadline": "realtime", "cpu-used": "8"})
_OPAQUE_LAYERS = ("alpha", "foreground", "composite", "shadow", "error", "refine")
_H264_FORMATS = dict.fromkeys(_OPAQUE_LAYERS, ("yuv420p", "yuv420p"))
_H265_FORMATS = dict.fromkeys(_OPAQUE_LAYERS, ("yuv420p", "yuv420p10le"))
_VP9_FORMATS = dict.fromkeys(_OPAQUE_LAYERS, ("yuv420p", "yuv420p")) | {"cutout": ("yuva420p", "yuva420p")}

CONTAINERS: Mapping[str, Container] = MappingProxyType(
    {
        ".mov": Container(
            "mov",
            (
                # As good to look at as prores_ks, in a third of its time. It shifts alpha up to the 16 bits
                # of ProRes where prores_ks repeats the upper bits: its opaque is 65472 of 65535.
                Encoder(
                    "prores_aw",
                    _PRORES_FORMATS,
                    _prores_options,
                    10,
                    "FRAME",
                    full_range=False,
                    even=(False, True),
                    opaque=65535 / 64,
                ),
                Encoder("prores_ks", _PRORES_FORMATS, _prores_ks_options, 10, "FRAME", full_range=False),
            ),
            audio_codecs=("aac", "alac", "ac3", "eac3", "mp3", "pcm_"),
            spare_audio_codec="aac",
        ),
        ".webm": Container(
            "webm",
            (Encoder("libvpx-vp9", _VP9_FORMATS, _vp9_options, 8, hurried=_HURRIED_VP9),),
            audio_codecs=("opus", "vorbis"),
            spare_audio_codec="libopus",
        ),
        ".mkv": Container(
            "matroska",
            (Encoder("ffv1", _FFV1_FORMATS, _ffv1_options, 16),),
            audio_codecs=("",),
            spare_audio_codec="flac",
        ),
        ".mp4": Container(
            "mp4",
            (
                Encoder(
                    "libx264",
                    _H264_FORMATS,
                    _x264_options,
                    8,
                    "FRAME",
                    even=(True, True),
                    hurried=_HURRIED_X264,
                ),
                Encoder("libx265", _H265_FORMATS, _x265_options, 10, "FRAME", even=(True, True)),
            ),
            audio_codecs=("aac", "alac", "ac3", "eac3", "mp3", "opus", "flac"),
            spare_audio_codec="aac",
            options=MappingProxyType({"movflags": "+faststart"}),
        ),
    }
)


def sink_formats() -> list[SinkFormat]:
    """Everything that :func:`~cleanplate.media.open_sink` can write, and whether it can on this machine."""
    rows = [
        SinkFormat(suffix, e.codec, "cutout" in e.pixel_formats, e.bit_depth, e.available)
        for suffix, container in CONTAINERS.items()
        for e in container.encoders
    ]
    for suffix in WRITABLE_SUFFIXES:
        codec = {".tif": "tiff", ".jpg": "jpeg"}.get(suffix, suffix[1:])
        bits = 8 if codec in ("jpeg", "webp") else 16
        available = codec != "exr" or find_spec("OpenEXR") is not None
        rows.append(SinkFormat(suffix, codec, codec != "jpeg", bits, available))
    return rows


def choose_encoder(
    path: Path, layer: str, codec: str | None, size: tuple[int, int]
) -> tuple[Container, Encoder]:
    """The container of the suffix, and the encoder asked for or the first installed that takes the size.

    If there is none for the size (height, width), the first that is installed: the picture will be padded.

    Raises:
        OutputError: Unknown suffix, no such encoder in this build or for this suffix, or no alpha for a
            cut-out.
    """
    suffix = path.suffix.lower()
    container = CONTAINERS.get(suffix)
    if container is None:
        raise OutputError(
            f"{path.name} has no suffix of a video format that can be written.",
            "use " + ", ".join(CONTAINERS) + " or a sequence such as name_%05d.png",
        )
    names = [encoder.codec for encoder in container.encoders]
    if codec is not None and codec not in names:
        raise OutputError(f"No encoder '{codec}' is known for {suffix}.", "use " + " or ".join(names))
    wanted = [encoder for encoder in container.encoders if codec in (None, encoder.codec)]
    if not any(layer in encoder.pixel_formats for encoder in wanted):
        alpha = [s for s, c in CONTAINERS.items() if any(layer in e.pixel_formats for e in c.encoders)]
        raise OutputError(
            f"{path.name} cannot hold a cut-out: {wanted[0].codec} in {suffix} has no alpha.",
            f"use {', '.join(alpha)}, or write a composite",
        )
    installed = [encoder for encoder in wanted if encoder.available]
    if installed:
        return container, min(installed, key=lambda encoder: padded_size(encoder, size) != size)
    missing = " or ".join(encoder.codec for encoder in wanted)
    others = [
        row.suffix
        for row in sink_formats()
        if row.available and row.suffix in CONTAINERS and row.suffix != suffix
    ]
    raise OutputError(
        f"The FFmpeg of this PyAV build has no encoder {missing}, which {suffix} needs.",
        "use " + ", ".join([*dict.fromkeys(others), "name_%05d.png"]),
    )


def padded_size(encoder: Encoder, size: tuple[int, int]) -> tuple[int, int]:
    """The size, height first, with a row or column more where the encoder needs even sides."""
    height, width = (side + side % 2 if even else side for side, even in zip(size, encoder.even, strict=True))
    return height, width


def encoder_threads() -> int:
    """Cores that this process may use, but no more than 8: every frame in flight costs its memory."""
    if hasattr(os, "sched_getaffinity"):
        return min(8, len(os.sched_getaffinity(0)))
    return min(8, os.cpu_count() or 1)

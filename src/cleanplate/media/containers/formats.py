"""Table of containers, layers and encoders, and the choice from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from cleanplate.errors import OutputError
from cleanplate.media.containers import hardware
from cleanplate.media.containers.encoders import (
    AV1,
    FFV1,
    H264,
    HEVC,
    HEVC_ALPHA,
    PNG,
    PRORES,
    QTRLE,
    VP9,
    Encoder,
)
from cleanplate.media.contract import Encoding, SourceInfo
from cleanplate.media.stills.avif import MOST_BITS, writes_avif
from cleanplate.media.stills.image_writer import WRITABLE_SUFFIXES
from cleanplate.media.stills.plugin_formats import list_formats


@dataclass(frozen=True)
class Container:
    """A file format for video.

    Attributes:
        name: FFmpeg's name.
        encoders: The preferred first.
        audio_codecs: Prefixes of the names of audio codecs that it can hold; FFmpeg's own list is too long.
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
    """One row of the table of formats, for users.

    Attributes:
        suffix: Suffix of the output's name, with the dot.
        name: The user's name of the codec, or the picture format.
        codec: FFmpeg's name of the encoder, or of the picture format.
        alpha: Whether it holds cut-outs.
        bit_depth: Largest number of bits of a sample.
        available: Whether this machine can write it.
    """

    suffix: str
    name: str
    codec: str
    alpha: bool
    bit_depth: int
    available: bool


CONTAINERS: Mapping[str, Container] = MappingProxyType(
    {
        ".mov": Container(
            "mov",
            (*PRORES, QTRLE, PNG, H264, HEVC, HEVC_ALPHA),
            audio_codecs=("aac", "alac", "ac3", "eac3", "mp3", "pcm_"),
            spare_audio_codec="aac",
        ),
        ".webm": Container(
            "webm",
            (VP9, AV1),
            audio_codecs=("opus", "vorbis"),
            spare_audio_codec="libopus",
        ),
        ".mkv": Container(
            "matroska",
            (FFV1, H264, HEVC, AV1, VP9),
            audio_codecs=("",),
            spare_audio_codec="flac",
        ),
        ".mp4": Container(
            "mp4",
            (H264, HEVC, AV1),
            audio_codecs=("aac", "alac", "ac3", "eac3", "mp3", "opus", "flac"),
            spare_audio_codec="aac",
            options=MappingProxyType({"movflags": "+faststart"}),
        ),
    }
)

_ENOUGH_BITS = 10
"""Bits above this do not change the choice of a codec, because only a few lossless codecs keep them."""


def sink_formats() -> list[SinkFormat]:
    """All formats of :func:`~cleanplate.media.open_sink`, and whether this machine can write them."""
    rows = [
        SinkFormat(suffix, e.name, e.codec, "cutout" in e.pixel_formats, e.bit_depth, e.available)
        for suffix, container in CONTAINERS.items()
        for e in container.encoders
    ]
    for suffix in WRITABLE_SUFFIXES:
        codec = {".tif": "tiff", ".jpg": "jpeg"}.get(suffix, suffix[1:])
        bits = {"jpeg": 8, "webp": 8, "avif": MOST_BITS}.get(codec, 16)
        library = {"exr": "OpenEXR", "jxl": "OpenImageIO"}.get(codec)
        available = writes_avif() if codec == "avif" else library is None or find_spec(library) is not None
        rows.append(SinkFormat(suffix, codec, codec, codec != "jpeg", bits, available))
    for suffix, brought in list_formats():
        rows.append(SinkFormat(suffix, suffix[1:], suffix[1:], brought.has_alpha, brought.bit_depth, True))
    return rows


def choose_encoder(
    path: Path,
    layer: str,
    like: SourceInfo,
    encoding: Encoding,
    notes: list[str],
    given: tuple[str, Container] | None = None,
) -> tuple[Container, Encoder]:
    """The container of the suffix, and the requested encoder or the first one that suits the source.

    An encoder suits if it is installed, and its codec keeps the source's bits (up to 10) and supports the
    size. Working hardware is preferred if it is requested.

    Args:
        path: The output's name.
        layer: One of :data:`cleanplate.media.LAYERS`.
        like: The source's size and bits.
        encoding: The requested options.
        notes: Receives the reason if hardware is not used.
        given: Name and container of a pipe, which has no suffix, or of an animation.

    Raises:
        OutputError: Unknown suffix, no such encoder in this build or for this suffix, or no alpha for a
            cut-out.
        UnavailableError: The named hardware does not work.
    """
    suffix, container = given or (path.suffix.lower(), CONTAINERS.get(path.suffix.lower()))
    if container is None:
        raise OutputError(
            f"{path.name} has no suffix of a video format that can be written.",
            "use " + ", ".join(CONTAINERS) + " or a sequence such as name_%05d.png",
        )
    wanted = _find_wanted(suffix, container, encoding.codec)
    installed = _list_installed(path, layer, suffix, container, wanted, is_pipe=given is not None)
    bits = min(like.bit_depth, _ENOUGH_BITS)
    name = next((e.name for e in installed if min(e.bit_depth, e.common_bits) >= bits), installed[0].name)
    family = [encoder for encoder in installed if encoder.name == name]
    if encoding.hardware != "off":
        found = hardware.find_encoder(name, encoding.hardware, layer, like.bit_depth > 8, path.name, notes)
        if found is not None:
            return container, found
    size = (like.height, like.width)
    family = [encoder for encoder in family if encoder.holds(layer, *size)] or family
    return container, min(family, key=lambda encoder: even_size(encoder, size) != size)


def _list_installed(
    path: Path,
    layer: str,
    suffix: str,
    container: Container,
    wanted: Sequence[Encoder],
    *,
    is_pipe: bool,
) -> list[Encoder]:
    """Those of the wanted encoders that this build has and that keep a layer's channels.

    Raises:
        OutputError: There is none.
    """
    able = [encoder for encoder in wanted if layer in encoder.pixel_formats]
    if not able:
        raise OutputError(
            f"{path.name} cannot hold a cut-out: {wanted[0].name} in {suffix} has no alpha.",
            _name_alternatives(container, layer, is_pipe=is_pipe),
        )
    installed = [encoder for encoder in able if encoder.available]
    if not installed:
        missing = " or ".join(dict.fromkeys(encoder.codec for encoder in able))
        others = [
            other
            for other, known in CONTAINERS.items()
            if other != suffix and any(encoder.available for encoder in known.encoders)
        ]
        raise OutputError(
            f"The FFmpeg of this PyAV build has no encoder {missing}, which {suffix} needs.",
            "use " + ", ".join([*others, "name_%05d.png"]),
        )
    return installed


def _find_wanted(suffix: str, container: Container, codec: str | None) -> list[Encoder]:
    """The encoders of a name from the user; all if None."""
    if codec is None:
        return list(container.encoders)
    named = [encoder for encoder in container.encoders if codec == encoder.name]
    exact = [encoder for encoder in container.encoders if codec == encoder.codec]
    if not named and not exact:
        elsewhere = [
            other
            for other, known in CONTAINERS.items()
            if any(codec in (encoder.name, encoder.codec) for encoder in known.encoders)
        ]
        hint = f"use {_list_words(_names(container.encoders))}"
        if elsewhere:
            hint += f"; {', '.join(elsewhere)} can hold {codec}"
        raise OutputError(f"No codec '{codec}' is known for {suffix}.", hint)
    return named or exact


def _names(encoders: Iterable[Encoder]) -> list[str]:
    return list(dict.fromkeys(encoder.name for encoder in encoders))


def _name_alternatives(container: Container, layer: str, *, is_pipe: bool) -> str:
    """Hint with the formats for a refused layer."""
    here = _names(e for e in container.encoders if layer in e.pixel_formats and e.available)
    if here:
        return f"use {_list_words(here)}, or write a composite with --background"
    alpha = [s for s, c in CONTAINERS.items() if any(layer in e.pixel_formats for e in c.encoders)]
    names = ["--pipe-format=nut"] if is_pipe else alpha
    return f"use {_list_words(names)}, or write a composite with --background"


def _list_words(words: list[str]) -> str:
    """Words of a choice: ``a``, ``a or b``, ``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def choose_pixel_format(encoder: Encoder, layer: str, like: SourceInfo) -> str:
    """The pixel format of a layer.

    A source of 4:4:4 and more than 8 bits (ProRes 4444) keeps both if the codec supports them.
    """
    if layer == "composite" and like.full_chroma and like.bit_depth > 8:
        layer = "foreground"
    return encoder.pixel_format(layer, deep=like.bit_depth > 8)


def even_size(encoder: Encoder, size: tuple[int, int], odd: str = "pad") -> tuple[int, int]:
    """The size for the encoder, height first: padded by a row or column, or with ``"scale"`` smaller."""
    step = -1 if odd == "scale" else 1
    height, width = (
        side + step * (side % 2) if even else side for side, even in zip(size, encoder.even, strict=True)
    )
    return height, width

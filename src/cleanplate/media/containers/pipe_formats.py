"""Formats of a stream on a pipe, which is written once from its start to its end."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cleanplate.errors import OptionError
from cleanplate.media.containers.encoders import FFV1, Encoder
from cleanplate.media.containers.formats import CONTAINERS, Container
from cleanplate.vocabulary import LAYERS, PIPE_FORMATS

_GREY = tuple(layer for layer in LAYERS if layer not in ("cutout", "foreground", "composite"))


def _layers(
    colour: tuple[str, str], grey: tuple[str, str], cutout: tuple[str, str] | None
) -> dict[str, tuple[str, str]]:
    """Pixel formats of the layers for sources of 8 bits and of more."""
    found = dict.fromkeys(("foreground", "composite"), colour) | dict.fromkeys(_GREY, grey)
    return found if cutout is None else found | {"cutout": cutout}


RAW = Encoder(
    "raw",
    "rawvideo",
    _layers(("rgb24", "yuv444p10le"), ("gray", "gray10le"), ("rgba", "yuva444p10le")),
    10,
)
"""Plain pixels: RGB for sources of 8 bits, YUV of 10 bits for others."""

RAW_RGB = Encoder(
    "raw-rgb",
    "rawvideo",
    _layers(("rgb24", "rgb48le"), ("gray", "gray16le"), ("rgba", "rgba64le")),
    16,
)
"""Plain pixels: RGB of 8 or 16 bits."""

RAW_444 = Encoder(
    "raw-444",
    "wrapped_avframe",
    _layers(("yuv444p", "yuv444p10le"), ("gray", "gray10le"), None),
    10,
)
RAW_420 = Encoder(
    "raw-420",
    "wrapped_avframe",
    _layers(("yuv420p", "yuv420p10le"), ("gray", "gray10le"), None),
    10,
    even=(True, True),
)
"""For encoders that take nothing else."""

_PIPED: Mapping[str, Container] = MappingProxyType(
    {
        "nut": Container(
            "nut",
            (RAW, RAW_RGB, FFV1),
            audio_codecs=("aac", "ac3", "eac3", "flac", "mp3", "opus", "pcm_", "vorbis"),
            spare_audio_codec="flac",
        ),
        "y4m": Container(
            "yuv4mpegpipe",
            (RAW_444, RAW_420),
            audio_codecs=(),
            spare_audio_codec="",
            options=MappingProxyType({"strict": "-1"}),  # more than 8 bits, which all current readers know
        ),
        "mkv": CONTAINERS[".mkv"],
    }
)


def piped_container(name: str | None) -> tuple[str, Container]:
    """Name and container of a format on a pipe; NUT if None.

    Raises:
        OptionError: There is no such format.
    """
    name = name or PIPE_FORMATS[0]
    if name not in _PIPED:
        raise OptionError(f"Expected a pipe format from {', '.join(PIPE_FORMATS)}, got '{name}'.")
    return name, _PIPED[name]

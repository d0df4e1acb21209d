"""RAW video of cinema cameras: refused by name, with the way to a format that can be read."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from av import VideoFrame

from cleanplate.errors import InputError
from cleanplate.media.containers.movie_header import MovieHeader

_BLACKMAGIC = "Blackmagic RAW"
_CANON = "Canon Cinema RAW Light"
_RED = "REDCODE RAW"
_ARRI = "ARRIRAW"
_NIKON = "Nikon N-RAW"
_PRORES = "ProRes RAW"

_SUFFIXES = MappingProxyType(
    {".braw": _BLACKMAGIC, ".crm": _CANON, ".rmf": _CANON, ".r3d": _RED, ".nev": _NIKON}
    | {".ari": _ARRI, ".arx": _ARRI}
)
_CODECS = MappingProxyType(
    {"braw": _BLACKMAGIC, "CRAW": _CANON, "aprn": _PRORES, "aprh": _PRORES, "nraw": _NIKON}
)
"""Names of the codecs in MP4 and MOV."""

_PROGRAMS = MappingProxyType(
    {
        _BLACKMAGIC: "DaVinci Resolve",
        _CANON: "Canon's Cinema RAW Development or DaVinci Resolve",
        _RED: "REDCINE-X PRO or DaVinci Resolve",
        _ARRI: "ARRI Reference Tool or DaVinci Resolve",
        _NIKON: "NX Studio or DaVinci Resolve",
        _PRORES: "Final Cut Pro or Compressor",
    }
)


def refuse_by_name(path: Path) -> None:
    """Raise :class:`InputError` for a file with the suffix or the beginning of RAW video.

    Such files may hold a preview that can be decoded, and which is not the clip.
    """
    name = _SUFFIXES.get(path.suffix.lower())
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] in (b"RED1", b"RED2"):
        name = _RED
    if name is not None:
        raise _refusal(path, name)


def unknown_codec(path: Path) -> InputError:
    """The error for a video stream whose codec FFmpeg does not know, with the codec's name."""
    codecs = MovieHeader(path).codecs
    for codec in codecs:
        if codec in _CODECS:
            return _refusal(path, _CODECS[codec])
    named = "".join(f" '{codec}'" for codec in codecs[:1])
    return InputError(
        f"{path} is in a video codec{named} that FFmpeg does not know.",
        "export it as ProRes, H.264 or HEVC with the camera's or the recorder's own program",
    )


def refuse_mosaic(path: Path, codec: str, frame: VideoFrame) -> None:
    """Raise :class:`InputError` for a sensor's mosaic: ProRes RAW, CineForm RAW."""
    if frame.format.name.startswith("bayer_"):
        raise _refusal(path, _PRORES if codec == "prores_raw" else f"undeveloped RAW video ({codec})")


def _refusal(path: Path, name: str) -> InputError:
    program = _PROGRAMS.get(name, "DaVinci Resolve")
    return InputError(
        f"{path} is {name}, which cleanplate cannot develop.",
        f"export it as ProRes 4444, or as EXR pictures, with {program}",
    )

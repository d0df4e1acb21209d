"""Kinds of files by their beginnings."""

from __future__ import annotations

CLIP_SUFFIX = ".mkv"
"""Suffix of files that are no known kind of picture: they are opened as clips, by their content."""

_BEGINNINGS = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"II+\0", ".tif"),
    (b"MM\0+", ".tif"),
    (b"\x76\x2f\x31\x01", ".exr"),
    (b"SDPX", ".dpx"),
    (b"XPDS", ".dpx"),
    (b"BM", ".bmp"),
    (b"\0\0\0\x0cjP  ", ".jp2"),
    (b"\xff\x4f\xff\x51", ".j2k"),
)


def suffix_of(beginning: bytes) -> str:
    """Suffix of a picture's kind by its first 32 bytes; :data:`CLIP_SUFFIX` for all others.

    >>> suffix_of(bytes([0x89]) + b"PNG"), suffix_of(b"RIFF0000WEBP"), suffix_of(b"RIFF0000AVI ")
    ('.png', '.webp', '.mkv')
    """
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return ".webp"
    if beginning[4:8] == b"ftyp" and beginning[8:12] in (b"avif", b"avis"):
        return ".avif"
    return next((suffix for start, suffix in _BEGINNINGS if beginning.startswith(start)), CLIP_SUFFIX)

"""Parts of a file's header that PyAV does not show: Dolby Vision, names of unknown codecs."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cleanplate.media.iso_boxes import find_box

_LARGEST_HEADER = 64 << 20
"""Bytes of ``moov`` that are read: that of a clip of ten hours has some 30 MB."""

_MATROSKA = b"\x1a\x45\xdf\xa3"
_MATROSKA_BYTES = 1 << 18
"""Bytes at the start of Matroska, in which its tracks are described."""

_SAMPLE_ENTRY = re.compile(rb"stsd\0{4}\0\0\0[\x01-\x0f].{4}([ -~]{4})", re.DOTALL)

# The box's name; in Matroska the element of the record and its length follow; then the record's version.
_DOLBY_VISION = re.compile(rb"dv[cvw]C(?:\x41\xed[\x80-\xff])?[\x01-\x04][\x00-\x09](.{3})", re.DOTALL)

_BASES = {1: "HDR10", 2: "SDR", 4: "HLG", 6: "HDR10"}


@dataclass(frozen=True)
class DolbyVision:
    """Dolby Vision of a stream (Dolby Vision Streams Within the ISO Base Media File Format, section 3.2).

    Attributes:
        profile: 5, 7, 8, 10 ...
        compatibility: Kind of its base layer: 1 is HDR10, 2 SDR, 4 HLG, 0 none that others can read.
    """

    profile: int
    compatibility: int

    @property
    def name(self) -> str:
        """The profile as it is usually written: 8.4."""
        return f"{self.profile}.{self.compatibility}" if self.compatibility else str(self.profile)

    @property
    def base(self) -> str:
        """Kind of the base layer; empty if only Dolby's decoders know its colours (IPT-PQ-C2)."""
        own = self.compatibility == 0 and self.profile in (5, 10, 20)
        return "" if own else _BASES.get(self.compatibility, "the base layer")


class MovieHeader:
    """Header of an MP4, MOV or Matroska file; empty for all others.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._bytes = b""
        with suppress(OSError):
            self._bytes = _read_header(path)

    @property
    def codecs(self) -> list[str]:
        """Four-letter names of the codecs of an MP4's or MOV's tracks."""
        return [name.decode("ascii") for name in _SAMPLE_ENTRY.findall(self._bytes)]

    @property
    def dolby_vision(self) -> DolbyVision | None:
        """Its Dolby Vision; None without one."""
        found = _DOLBY_VISION.search(self._bytes)
        if found is None:
            return None
        return DolbyVision(found[1][0] >> 1, found[1][2] >> 4)


def _read_header(path: Path) -> bytes:
    with path.open("rb") as file:
        if file.read(4) == _MATROSKA:
            file.seek(0)
            return file.read(_MATROSKA_BYTES)
        box = find_box(file, b"moov")
        if box is None:
            return b""
        file.seek(box[0])
        return file.read(min(box[1], _LARGEST_HEADER))

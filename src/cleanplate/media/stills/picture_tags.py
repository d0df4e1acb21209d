"""Metadata of a picture's file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from cleanplate.media.colour.h273 import Colour

# Red, green, blue and white, x and y each (ITU-T H.273, table 2).
_D65 = (0.3127, 0.3290)
_CHROMATICITIES: dict[str, tuple[float, ...]] = {
    "bt709": (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65),
    "bt470m": (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    "bt470bg": (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    "smpte170m": (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    "smpte240m": (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    "film": (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316),
    "bt2020": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    "smpte431": (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    "smpte432": (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
    "ebu3213": (0.63, 0.34, 0.295, 0.605, 0.155, 0.077, *_D65),
}

_TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;])(\d\d+)")


@dataclass(frozen=True)
class PictureTags:
    """Metadata of a picture's file; None where a field is missing.

    Attributes:
        bit_depth: Bits of a stored sample, if they differ from those of the pixels' type.
        colour: Colour tags.
        chromaticities: x and y of red, green, blue and white, if they differ from those of ``colour``.
        white_luminance: Nits of a light of 1.0.
        frame_rate: Rate of the sequence that the picture belongs to.
        timecode: ``hh:mm:ss:ff``, or ``hh:mm:ss;ff`` for drop-frame.
        pixel_aspect: Width of a pixel divided by its height.
        space: Colour space of ACES, by the name that OpenColorIO has for it; None: another one.
    """

    bit_depth: int | None = None
    colour: Colour = field(default_factory=Colour)
    chromaticities: tuple[float, ...] | None = None
    white_luminance: float | None = None
    frame_rate: Fraction | None = None
    timecode: str | None = None
    pixel_aspect: Fraction = Fraction(1)
    space: str | None = None


NO_TAGS = PictureTags()


def chromaticities_of(primaries: str) -> tuple[float, ...] | None:
    """x and y of red, green, blue and white; None for primaries without a name."""
    return _CHROMATICITIES.get(primaries)


def primaries_of(chromaticities: tuple[float, ...]) -> str | None:
    """The name of primaries; None if they have none. Of two names for the same ones, the first."""
    for name, known in _CHROMATICITIES.items():
        if all(abs(a - b) < 0.0006 for a, b in zip(chromaticities, known, strict=True)):
            return name
    return None


def parse_timecode(timecode: str) -> tuple[int, int, int, int, bool] | None:
    """Hours, minutes, seconds, frames, and whether it is drop-frame; None if it is no timecode."""
    match = _TIMECODE.fullmatch(timecode)
    if match is None:
        return None
    hours, minutes, seconds, mark, frames = match.groups()
    return int(hours), int(minutes), int(seconds), int(frames), mark == ";"

"""Metadata of HDR footage: mastering display (SMPTE ST 2086) and content light level (CTA-861.3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from av import VideoFrame

_POINT, _CANDELA = 50_000, 10_000
"""Steps of a chromaticity and of a luminance in ST 2086."""


@dataclass(frozen=True)
class Hdr:
    """Mastering display and content light level of a clip.

    Attributes:
        primaries: x and y (CIE 1931) of red, green, blue and white; None if unknown.
        luminance: Lowest and highest luminance of the display, in cd/m²; None if unknown.
        content_light: The brightest pixel and the brightest mean of a frame, in cd/m²; None if unknown.
    """

    primaries: tuple[tuple[Fraction, Fraction], ...] | None = None
    luminance: tuple[Fraction, Fraction] | None = None
    content_light: tuple[int, int] | None = None

    def for_x265(self) -> str:
        """Parameters of x265."""
        return self._join("master-display", "max-cll")

    def for_x264(self) -> str:
        """Parameters of x264."""
        return self._join("mastering-display", "cll")

    def for_svt_av1(self) -> str:
        """Parameters of SVT-AV1, which counts in whole units instead of steps."""
        return self._join("mastering-display", "content-light", decimals=True)

    def _join(self, display: str, light: str, *, decimals: bool = False) -> str:
        parts = []
        if self.primaries is not None and self.luminance is not None:

            def pair(values: Sequence[Fraction], steps: int) -> str:
                if decimals:
                    return ",".join(f"{float(value):.6g}" for value in values)
                return ",".join(str(round(value * steps)) for value in values)

            red, green, blue, white = (pair(point, _POINT) for point in self.primaries)
            lowest, highest = self.luminance
            text = f"G({green})B({blue})R({red})WP({white})L({pair((highest, lowest), _CANDELA)})"
            parts.append(f"{display}={text}")
        if self.content_light is not None:
            parts.append(f"{light}={self.content_light[0]},{self.content_light[1]}")
        return ":".join(parts)


def read_hdr(frame: VideoFrame) -> Hdr | None:
    """HDR metadata of a decoded frame; None if it has none."""
    display = frame.side_data.get("MASTERING_DISPLAY_METADATA")
    light = frame.side_data.get("CONTENT_LIGHT_LEVEL")
    if display is None and light is None:
        return None
    primaries = luminance = None
    if display is not None:
        # FFmpeg's AVMasteringDisplayMetadata: ten fractions of two integers, then which of them are known.
        *numbers, has_primaries, has_luminance = struct.unpack_from("22i", bytes(cast(Any, display)))
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        values = [Fraction(over, under) if under else Fraction(0) for over, under in pairs]
        if has_primaries:
            primaries = tuple(zip(values[0:8:2], values[1:8:2], strict=True))
        if has_luminance:
            luminance = (values[8], values[9])
    content = None if light is None else struct.unpack_from("2I", bytes(cast(Any, light)))
    return Hdr(primaries, luminance, None if content is None else (content[0], content[1]))

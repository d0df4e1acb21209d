"""Modes of a camera, and the choice of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

USUAL_SIZE = (720, 1280)
USUAL_RATE = Fraction(30)

# Raw pictures have no blocks and cost no decoding; among those, less data is better. H.264 comes last: most
# cameras delay it, and its loss smears the grain that a plate is compared by.
_FORMAT_RANKS = ("nv12", "yuv420p", "yuyv422", "uyvy422", "bgr24", "rgb24", "", "mjpeg", "h264")

_SAME_SIZE = 0.02
"""Difference of the sides' logarithms up to which sizes count as equal: 1080 and 1088 rows."""


@dataclass(frozen=True)
class CameraMode:
    """Mode of a camera: format, size and rate.

    Attributes:
        pixel_format: FFmpeg's name of the raw format or of the codec; empty if unknown.
        height: Rows.
        width: Columns.
        rate: The highest frames per second.
    """

    pixel_format: str
    height: int
    width: int
    rate: Fraction

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {float(self.rate):g} fps {self.pixel_format}".rstrip()


@dataclass(frozen=True)
class CameraInfo:
    """A camera of this machine.

    Attributes:
        name: Name in the system.
        address: Argument of :func:`cleanplate.media.cameras.discovery.open_camera` for exactly this one.
        modes: Its modes; empty if the system does not list them.
    """

    name: str
    address: str
    modes: tuple[CameraMode, ...] = ()


@dataclass(frozen=True)
class RequestedMode:
    """Requested mode of a camera: ``(height, width)`` and frames per second."""

    size: tuple[int, int] = USUAL_SIZE
    rate: Fraction = USUAL_RATE


def choose_mode(modes: Sequence[CameraMode], requested: RequestedMode) -> CameraMode | None:
    """The mode nearest to the requested one: in size, then rate, then format; None without modes.

    For a request of 1280x720 at 30, a camera with raw pictures at 10 uses Motion JPEG at 30.
    """

    def distance(mode: CameraMode) -> tuple[float, float, int, float]:
        height, width = requested.size
        apart = abs(math.log(mode.height / height)) + abs(math.log(mode.width / width))
        missing = max(0.0, float(requested.rate - mode.rate) - 0.5)
        return (
            0.0 if apart < _SAME_SIZE else round(apart, 2),
            round(missing),
            _rank(mode.pixel_format),
            abs(float(mode.rate - requested.rate)),
        )

    return min(modes, key=distance, default=None)


def _rank(pixel_format: str) -> int:
    if pixel_format in _FORMAT_RANKS:
        return _FORMAT_RANKS.index(pixel_format)
    return _FORMAT_RANKS.index("")

"""What stays of a place when the light changes: its local structure.

Plate and frame are compared on reduced copies by *detail*, luminance freed from local mean and contrast, so
that exposure, white balance and soft shadows cancel. Where two details correlate, both pictures show the same
thing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import Pixels

Map = npt.NDArray[np.float32]
"""float32 ``(height, width)``."""

NEIGHBOURHOOD = 4.0
"""Sigma, in pixels of the reduced copy, over which the mean and contrast of detail are taken."""

NOISE_FLOOR = 0.012
"""Contrast (of 1) that is taken for noise: added in quadrature, so that a bare wall has no detail."""

TEXTURED = 0.02
"""Contrast (of 1) from which a neighbourhood has something to compare."""


@dataclass(frozen=True)
class Structure:
    """The structure of a picture, reduced.

    Attributes:
        colour: float32 RGB in [0, 1], ``(height, width, 3)``, gamma-encoded as the picture.
        detail: Locally normalised luminance, mean 0 and deviation up to 1, ``(height, width)``.
        contrast: Local standard deviation of luminance, ``(height, width)``.
    """

    colour: Map
    detail: Map
    contrast: Map

    @property
    def textured(self) -> npt.NDArray[np.bool_]:
        """Where there is something to compare."""
        return self.contrast > TEXTURED


def reduced_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """``(height, width)`` with the same aspect and the longer side at most ``longest``."""
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def reduce_picture(pixels: Pixels, longest: int) -> Map:
    """Shrink by area to ``longest`` pixels a side at most, as float32 in [0, 1]."""
    height, width = reduced_size(pixels.shape[0], pixels.shape[1], longest)
    small: Pixels = pixels
    if small.shape[:2] != (height, width):
        small = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    return np.asarray(small * np.float32(1.0 / np.iinfo(pixels.dtype).max), dtype=np.float32)


def find_structure(colour: Map) -> Structure:
    """Separate detail from light in float32 RGB of [0, 1]."""
    return Structure(colour, *find_detail(np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), np.float32)))


def find_detail(luminance: Map) -> tuple[Map, Map]:
    """Detail and contrast, as in :class:`Structure`, of luminance in [0, 1]."""
    offset = luminance - smooth(luminance)
    contrast = np.sqrt(smooth(offset * offset))
    return offset / np.sqrt(contrast * contrast + np.float32(NOISE_FLOOR**2)), contrast


def shrink(structure: Structure, longest: int) -> Structure:
    """The structure of a smaller copy, ``longest`` pixels a side at most."""
    size = structure.detail.shape
    height, width = reduced_size(size[0], size[1], longest)
    if (height, width) == size:
        return structure
    return find_structure(
        np.asarray(
            cv2.resize(structure.colour, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32
        )
    )


def correlate(first: Map, second: Map) -> Map:
    """Correlation of two details around each pixel, in [-1, 1]; 0 where either has none."""
    energy = smooth(first * first) * smooth(second * second)
    return np.asarray(smooth(first * second) / np.sqrt(energy + np.float32(1e-3)), dtype=np.float32)


def smooth(picture: Map) -> Map:
    """Average over the neighbourhood."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), NEIGHBOURHOOD), dtype=np.float32)

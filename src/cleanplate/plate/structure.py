"""Local structure, which stays the same when the light changes.

Plate and frame are compared on reduced copies by *detail*, luminance freed from local mean and contrast, so
that exposure, white balance and soft shadows cancel. Where two details correlate, both pictures show the same
thing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Float32Array, FloatArray, Pixels

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

NEIGHBOURHOOD = 4.0
"""Sigma, in pixels of the reduced copy, over which the mean and contrast of detail are taken; with half of
it, a plate of another place was not refused."""

NOISE_FLOOR = 0.012
"""Contrast (of 1) of noise, added in quadrature, so that a bare wall has no detail: three code values of
255."""

TEXTURED = 0.02
"""Contrast (of 1) from which a neighbourhood is textured: five code values of 255, above the noise floor."""


@dataclass(frozen=True)
class Structure:
    """The structure of a picture, reduced.

    Attributes:
        colour: float32 RGB in [0, 1], ``(height, width, 3)``, gamma-encoded as the picture.
        detail: Locally normalised luminance, mean 0 and deviation up to 1, ``(height, width)``.
        contrast: Local standard deviation of luminance, ``(height, width)``.
        known: bool ``(height, width)``: False where the picture is transparent and ``colour`` was filled in;
            None: known everywhere.
    """

    colour: Float32Array
    detail: Float32Array
    contrast: Float32Array
    known: BoolArray | None = None

    @property
    def textured(self) -> BoolArray:
        """Pixels with enough texture to compare."""
        return self.contrast > TEXTURED


def largest_channel(values: FloatArray) -> FloatArray:
    """Largest of the three channels on the last axis: a ninth of the time of ``values.max(axis=-1)``."""
    return np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])


def reduced_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """``(height, width)`` with the same aspect and the longer side at most ``longest``."""
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def reduce_picture(pixels: Pixels, longest: int) -> Float32Array:
    """Shrink by area to ``longest`` pixels a side at most, as float32 in [0, 1]."""
    height, width = reduced_size(pixels.shape[0], pixels.shape[1], longest)
    small: Pixels = pixels
    if small.shape[:2] != (height, width):
        small = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    return np.asarray(small * np.float32(1.0 / np.iinfo(pixels.dtype).max), dtype=np.float32)


def find_structure(colour: Float32Array, known: BoolArray | None = None) -> Structure:
    """Separate detail from light in float32 RGB of [0, 1].

    Args:
        colour: The picture, ``(height, width, 3)``.
        known: bool ``(height, width)``: False where the picture is transparent; None: opaque. Transparent
            parts are filled smoothly from their surround, so that they have no detail.
    """
    if known is not None:
        colour = _fill_smoothly(colour, known.astype(np.float32))
    luminance = np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), np.float32)
    return Structure(colour, *find_detail(luminance), known)


def _fill_smoothly(colour: Float32Array, weight: Float32Array) -> Float32Array:
    """Colour where the weight is 1; elsewhere averages of ever larger blocks (pull-push, a pyramid)."""
    if min(weight.shape) <= 1 or not weight.any():
        share = np.maximum(weight.sum(), np.float32(1e-6))
        mean = (colour * weight[..., None]).sum((0, 1)) / share
        return np.broadcast_to(mean, colour.shape).astype(np.float32)
    size = tuple(-(-side // 2) for side in weight.shape[::-1])
    sums, shares = (
        np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_AREA))
        for one in (colour * weight[..., None], weight)
    )
    coarser = _fill_smoothly(sums / np.maximum(shares, np.float32(1e-6))[..., None], np.sign(shares))
    around = cv2.resize(coarser, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.where(weight[..., None] > 0, colour, around), dtype=np.float32)


def find_detail(luminance: Float32Array) -> tuple[Float32Array, Float32Array]:
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
    colour, known = cv2.resize(structure.colour, (width, height), interpolation=cv2.INTER_AREA), None
    if structure.known is not None:
        known = reduce_mask(structure.known, height, width)
    return find_structure(np.asarray(colour, dtype=np.float32), known)


def reduce_mask(mask: BoolArray, height: int, width: int) -> BoolArray:
    """Shrink a mask; True where all source pixels are True."""
    small = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small > 0.999)


def correlate(first: Float32Array, second: Float32Array) -> Float32Array:
    """Correlation of two details around each pixel, in [-1, 1]; 0 without detail."""
    energy = smooth(first * first) * smooth(second * second)
    return np.asarray(smooth(first * second) / np.sqrt(energy + np.float32(1e-3)), dtype=np.float32)


def smooth(picture: Float32Array) -> Float32Array:
    """Average over the neighbourhood."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), NEIGHBOURHOOD), dtype=np.float32)

"""Regions of a picture for metrics: trimap and neighbourhood of soft alpha."""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.errors import OptionError
from cleanplate.frame import AnyArray, BoolArray, ByteArray, FloatArray

BACKGROUND, FOREGROUND = 0, 255
UNKNOWN = 128
"""The value of a trimap's unknown pixels."""

# Levels and steps of BGMv2's supplement, see :func:`trimap_of`.
TRIMAP_LEVELS = (0.06, 0.96)
TRIMAP_REACH = 10

SOFT_LEVELS = (0.02, 0.98)
EDGE_REACH = 12


def check_alike(alpha: AnyArray, truth: AnyArray, region: BoolArray | None = None) -> None:
    """Raise :class:`OptionError` unless all have one shape, to prevent silent broadcasting."""
    if alpha.shape != truth.shape or (region is not None and region.shape != alpha.shape[:2]):
        of_region = "" if region is None else f" and a region of {region.shape}"
        raise OptionError(
            f"Expected a matte and a truth of one shape, got {alpha.shape} and {truth.shape}{of_region}."
        )


def trimap_of(alpha: FloatArray, reach: int = TRIMAP_REACH) -> ByteArray:
    """Make a trimap of certain and uncertain alpha, as in BGMv2's evaluation.

    The area above 0.06 is dilated by ``reach`` pixels, the area of at least 0.96 is eroded by as many;
    between both it is unknown. One step is a 3 x 3 cross, so distance is counted along rows and columns. (Lin
    et al., CVPR 2021, supplement: levels 0.06 and 0.96, ten steps; the directions of the steps are this
    project's reading.)

    Args:
        alpha: True alpha.
        reach: Number of steps, 0 or more.

    Returns:
        uint8 ``(height, width)`` of 0 (background), 128 (unknown) and 255 (foreground).
    """
    if reach < 0:
        raise OptionError(f"Expected a reach of 0 or more, got {reach}.")
    low, high = TRIMAP_LEVELS
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    some = cv2.dilate((alpha > low).astype(np.uint8), cross, iterations=reach) if reach else alpha > low
    whole = cv2.erode((alpha >= high).astype(np.uint8), cross, iterations=reach) if reach else alpha >= high
    trimap = np.full(alpha.shape, UNKNOWN, np.uint8)
    trimap[~np.asarray(some, bool)] = BACKGROUND
    trimap[np.asarray(whole, bool)] = FOREGROUND
    return trimap


def near_soft_alpha(truth: FloatArray, reach: int = EDGE_REACH) -> BoolArray:
    """Mark pixels at most ``reach`` rows and columns away from alpha in (0.02, 0.98)."""
    soft = ((truth > SOFT_LEVELS[0]) & (truth < SOFT_LEVELS[1])).astype(np.uint8)
    return np.asarray(cv2.dilate(soft, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)), bool)

"""Clipped parts of a plate: the background is at least as bright there.

A plate that was exposed longer than the frame is clipped where the frame is not. Darkened to the frame's
light, its white becomes a grey below the true background. There the frame decides: a pixel brighter than that
grey is taken for background; behind darker pixels the background is interpolated from its surroundings.
"""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Pixels

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

BURNT = 250 / 255
"""Value, of 1, from which a channel is clipped."""

LEAST_SHARE = 0.005
"""Least clipped share of the picture for a restoration."""

MARGIN = 0.03
"""Difference of values, of 1, within which the frame agrees."""

REACHES = (0.3, 0.1, 0.03)
"""Reach, in widths of the picture, of the nearest visible background."""

NEAR = 0.05
"""Least seen share of a neighbourhood for interpolation."""

FILL_SIDE = 240
"""Longest side of the copy for interpolation."""


def restore_burnt(plate: Pixels, shaded: Pixels, frame: Pixels) -> tuple[Pixels, float]:
    """Give the burnt parts of a plate their likely value.

    Args:
        plate: The registered plate in its own light: uint8 or uint16 ``(height, width, 3)``.
        shaded: The plate in the frame's light.
        frame: The frame.

    Returns:
        The shaded plate, restored, and the share of the picture that is burnt out in the plate and would not
        be in the frame; the same array where there is next to none.
    """
    top = float(np.iinfo(plate.dtype).max)
    burnt = (plate >= BURNT * top) & (shaded < (BURNT - MARGIN) * top)
    somewhere = burnt.any(axis=2)
    share = float(np.mean(somewhere))
    if share < LEAST_SHARE:
        return shaded, 0.0
    off = np.subtract(frame, shaded, dtype=np.float32)
    in_channels = np.where(burnt, off > -MARGIN * top, np.abs(off) < 2 * MARGIN * top)
    agrees = np.logical_and(np.all(in_channels, axis=2), somewhere)
    brighter = np.maximum(frame, shaded)
    around = _continue(brighter, agrees)
    likely = np.where(agrees[..., None], brighter, np.maximum(around, shaded))
    return np.where(burnt, likely, shaded), share


def _continue(pixels: Pixels, known: BoolArray) -> Pixels:
    """Extrapolate the known pixels smoothly; 0 far from all of them."""
    height, width = known.shape
    shrink = min(1.0, FILL_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    weights = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(pixels * known[..., None].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    smooth = np.zeros_like(sums)
    for reach in REACHES:
        near, seen = (cv2.GaussianBlur(one, (0, 0), reach * max(size)) for one in (weights, sums))
        smooth = np.where(near[..., None] > NEAR, seen / np.maximum(near, NEAR)[..., None], smooth)
    return np.asarray(cv2.resize(np.rint(smooth), (width, height))).astype(pixels.dtype)

"""From 16 bits to 8 without bands: an ordered dither."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cleanplate.frame import AnyArray, ByteArray

_STEP = 257
"""Values of 16 bits to one of 8."""

_ROWS = 64
"""Rows at a time, whole blocks of the matrix: intermediate values stay in the processor's cache."""


def dither(pixels: AnyArray) -> ByteArray:
    """uint16 colour ``(height, width, 3 or 4)`` as uint8; alpha, the fourth, is rounded.

    Bayer's 8 x 8 matrix selects the pixels of a tone between two values that get the upper one: the mean over
    any such block is the tone's. The pattern is the same in every frame, so it does not flicker and costs
    an encoder no bits. Alpha is not dithered, so that a uniform matte stays uniform.
    """
    height, width = pixels.shape[:2]
    thresholds = np.tile(_bayer(8), (_ROWS // 8, -(-width // 8)))[:, :width, None]
    fallen = np.empty(pixels.shape, np.uint8)
    for top in range(0, height, _ROWS):
        rows = pixels[top : top + _ROWS]
        fallen[top : top + _ROWS, :, :3] = (rows[..., :3] + thresholds[: len(rows)]) // _STEP
        fallen[top : top + _ROWS, :, 3:] = (rows[..., 3:] + np.uint32(_STEP // 2)) // _STEP
    return fallen


def _bayer(side: int) -> npt.NDArray[np.uint32]:
    """Thresholds, evenly spread over one step."""
    order = np.zeros((1, 1))
    while len(order) < side:
        order = np.block([[4 * order, 4 * order + 2], [4 * order + 3, 4 * order + 1]])
    return ((order + 0.5) / side**2 * _STEP).astype(np.uint32)

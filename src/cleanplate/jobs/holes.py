"""Holes that open inside a solid subject: places that were opaque a moment before and are not any more.

A shirt with the wall's colour, or a grey leg before a grey floor, is taken for the plate for some frames. The
gap between an arm and the body is no such hole: it was open to the background before the arm closed it.

The thresholds are chosen. Measured with them: no hole in the true mattes of the sample clip and of eight of
ten moving figures; false alarms of 2% at a gap that opens beside an arm, and between walking legs
(docs/log.md, 2026-11-29).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Float32Array, check_array

VIEW_SIDE = 192
"""Longest side of the copies of alpha that are compared."""

OPAQUE, OPEN = 0.95, 0.5
"""Mean alpha from which a place was solid, and alpha below which it is a hole."""

SOLID_SECONDS = 0.15
"""Time constant of the mean: half a second makes a place solid."""

MEMORY_SECONDS = 5.0
"""Time after which a hole that stays open counts as background."""

BRIDGE_SHARE = 0.02
"""Width, as a share of the longer side, of a gap in the outline that still counts as closed."""

LEAST_WIDTH = 3
"""Pixels of the copies: narrower slits open along the outline of everything that moves."""

REACH_SHARE = 0.06
"""Largest motion of the subject between two frames, as a share of the longer side."""


class HoleWatch:
    """Measures the holes that open in one subject, frame after frame."""

    def __init__(self) -> None:
        self._solid: Float32Array | None = None
        self._open: Float32Array = np.zeros((1, 1), np.float32)
        self._before: Float32Array = np.zeros((1, 1), np.float32)

    def measure(self, alpha: Float32Array, seconds: float) -> float:
        """Measure the holes of the next matte.

        Args:
            alpha: float32 in [0, 1], small, ``(height, width)``.
            seconds: Time since the matte before.

        Returns:
            Area of the holes as a share of the subject's area with them, 0 to 1.
        """
        if self._solid is None or self._solid.shape != alpha.shape:
            self._solid, self._before = np.zeros_like(alpha), alpha.copy()
            self._open = np.zeros_like(alpha)
            return 0.0
        shift = _find_shift(self._before, alpha)
        solid, since = _shift(self._solid, shift), _shift(self._open, shift)
        holes = _open(_enclose(alpha) & (alpha < OPEN) & (solid > OPAQUE))
        # A hole is remembered as solid until it has been open for long.
        since = np.where(holes, since + np.float32(seconds), 0).astype(np.float32)
        rate = np.float32(1 - np.exp(-seconds / SOLID_SECONDS))
        kept = holes & (since < MEMORY_SECONDS)
        self._solid = np.where(kept, solid, solid + rate * (alpha - solid)).astype(np.float32)
        self._open, self._before = since, alpha.copy()
        area = float(np.count_nonzero(holes))
        whole = area + float(np.count_nonzero(alpha >= OPEN))
        return area / whole if whole else 0.0

    def snapshot(self) -> tuple[Any, ...]:
        """The state, as plain arrays."""
        return self._solid, self._open, self._before

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Continue after the mattes of a snapshot.

        Raises:
            ValueError: Its arrays have another type or shape.
        """
        solid, since, before = snapshot
        if solid is not None:  # otherwise the next matte makes all of them
            check_array(solid, "the solid part", np.float32, (*solid.shape[:2],))
            check_array(since, "the time of holes", np.float32, solid.shape)
            check_array(before, "the matte before", np.float32, solid.shape)
        self._solid, self._open, self._before = solid, since, before


def _enclose(alpha: Float32Array) -> BoolArray:
    """Mask of the subject with its holes filled; a narrow gap in its outline counts as closed."""
    side = 2 * max(1, round(BRIDGE_SHARE * max(alpha.shape) / 2)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx((alpha >= OPEN).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(closed, outlines, -1, 1, cv2.FILLED)
    return np.asarray(closed > 0)


def _open(mask: BoolArray) -> BoolArray:
    kernel = np.ones((LEAST_WIDTH, LEAST_WIDTH), np.uint8)
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0)


def _find_shift(before: Float32Array, after: Float32Array) -> tuple[int, int]:
    """Whole pixels ``(x, y)`` by which the subject has moved: where the two mattes agree best."""
    reach = max(1, round(REACH_SHARE * max(after.shape)))
    padded = cv2.copyMakeBorder(after - 0.5, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    scores = cv2.matchTemplate(padded.astype(np.float32), before - np.float32(0.5), cv2.TM_CCORR)
    _, _, _, best = cv2.minMaxLoc(scores)
    still = float(scores[reach, reach])
    if float(scores[best[1], best[0]]) - still < 1e-3 * before.size:
        return 0, 0
    return best[0] - reach, best[1] - reach


def _shift(picture: Float32Array, by: tuple[int, int]) -> Float32Array:
    if by == (0, 0):
        return picture
    height, width = picture.shape
    move = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float32)
    return np.asarray(cv2.warpAffine(picture, move, (width, height)), np.float32)

"""Detection of camera motion on a thumbnail, at little cost.

Two thumbnails of the same still scene differ by noise and by the subject. If the camera has moved, the
difference at every edge follows the edge's slope: one weighted least-squares fit over a thousand steep points
measures a shift, a turn and a zoom of well below a pixel. At larger motions hardly a point agrees.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Float32Array, IndexArray, Pixels

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

THUMBNAIL_SIDE = 480
"""Longest side of the thumbnail: a quarter of HD, in which a pixel of HD is a quarter."""

EACH_CELL = 16
"""Points taken from each cell. A choice between time and noise."""

LEAST_SLOPE = 3.0
"""Least change of value, of 255, from one pixel of the thumbnail to the next, for a point to count."""

LEAST_POINTS = 40
"""Least points for a measurement: some seven for each of the six parameters. A choice."""

REACH = 12.0
"""Difference of values at which a point is the subject's."""

LEAST_AGREEING = 0.5
"""Share of the points that must agree; with 0.75, a jolt of 3 pixels is followed worse (an error of 2.5
levels in place of 1.1)."""


class Watch:
    """Thumbnail of one moment, for measuring the camera's motion since.

    Args:
        pixels: uint8 or uint16 RGB ``(height, width, 3)`` of the moment.
        subject: bool mask of the subject, of any size; None: unknown.
    """

    def __init__(self, pixels: Pixels, subject: BoolArray | None = None) -> None:
        seen = _make_thumbnail(pixels)
        height, width = seen.shape
        self._scale = float(pixels.shape[1] / width)
        x_slope = cv2.Sobel(seen, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        y_slope = cv2.Sobel(seen, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
        steep = x_slope * x_slope + y_slope * y_slope
        rows, columns = height // EACH_CELL, width // EACH_CELL
        cells = steep[: rows * EACH_CELL, : columns * EACH_CELL].reshape(rows, EACH_CELL, columns, EACH_CELL)
        cells = cells.swapaxes(1, 2).reshape(rows * columns, EACH_CELL**2)
        # The two steepest of each cell.
        best = np.argpartition(cells, -2, axis=1)[:, -2:]
        cell, rank = np.nonzero(np.take_along_axis(cells, best, axis=1) > LEAST_SLOPE**2)
        inner = best[cell, rank]
        y = (cell // max(columns, 1)) * EACH_CELL + inner // EACH_CELL
        x = (cell % max(columns, 1)) * EACH_CELL + inner % EACH_CELL
        if subject is not None:
            free = ~_look_up(subject, y, x, (height, width))
            y, x = y[free], x[free]
        self._rows, self._columns, self._size = y, x, (height, width)
        self._values = seen[y, x]
        u, v = (x - width / 2) / (width / 2), (y - height / 2) / (width / 2)
        gx, gy = x_slope[y, x], y_slope[y, x]
        # Shift to the right and down, zoom, turn; the light's gain and offset.
        slopes = [gx, gy, gx * u + gy * v, gy * u - gx * v, self._values / 255, np.ones_like(gx)]
        self._slopes = np.stack(slopes, axis=1).astype(np.float32)

    def moved(self, pixels: Pixels, subject: BoolArray | None = None) -> float | None:
        """Estimate the camera's motion since then, in pixels of the frame, at the middle of the border.

        Args:
            pixels: The present frame.
            subject: Mask of the subject in it, likewise.

        Returns:
            None if it cannot be measured: hardly a point agrees, or there are too few.
        """
        off = self._values - _make_thumbnail(pixels)[self._rows, self._columns]
        slopes = self._slopes
        if subject is not None:
            free = ~_look_up(subject, self._rows, self._columns, self._size)
            off, slopes = off[free], slopes[free]
        if len(off) < LEAST_POINTS:
            return None
        fitted = np.full_like(off, np.median(off))
        for _ in range(2):
            weights = np.clip(1 - ((off - fitted) / REACH) ** 2, 0, None) ** 2
            weighted = slopes * weights[:, None]
            normal = weighted.T @ slopes
            normal[np.diag_indices(6)] += 1e-4 * np.trace(normal) + 1e-6
            solution = np.linalg.solve(normal, weighted.T @ off)
            fitted = slopes @ solution
        if np.count_nonzero(weights > 0.25) < LEAST_AGREEING * len(off):
            return None
        shift_x, shift_y, zoom, turn = (float(value) for value in solution[:4])
        return self._scale * (math.hypot(shift_x, shift_y) + math.hypot(zoom, turn))


def _look_up(
    subject: BoolArray,
    rows: IndexArray,
    columns: IndexArray,
    size: tuple[int, int],
) -> BoolArray:
    """The map's values at points of a picture of this size."""
    height, width = subject.shape
    return np.asarray(subject[rows * height // size[0], columns * width // size[1]])


def _make_thumbnail(pixels: Pixels) -> Float32Array:
    """Luminance of 0 to 255, sampled instead of averaged: cheap and repeatable."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    scale = np.float32(255 / np.iinfo(pixels.dtype).max)
    return np.asarray(np.multiply(grey, scale, dtype=np.float32))

"""Registration by the pixels themselves: Gauss-Newton on a few thousand points of strong gradient.

The inverse compositional form of Lucas and Kanade's method (Baker and Matthews, IJCV 2004) with robust
weights: gradients are those of the plate and are taken once, so that a step costs a few operations a point.
It works on detail, which the light does not change. Points that disagree have no weight: those of the
subject, and of changes since the plate was shot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import BoolArray, Float32Array, IndexArray
from cleanplate.plate.registration.homography import Matrix, Points, invert, move, normalise
from cleanplate.plate.structure import TEXTURED

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

CELL = 16
"""Side, in pixels, of the cells from which points are taken, so that they lie everywhere."""

TUKEY = 4.685
"""Deviations at which Tukey's biweight reaches zero: 95% efficiency on Gaussian noise."""

QUIET_SHARE = 0.25
"""Share of the points whose deviation gives the robust scale: the quarter that agrees best is background."""

QUIET_DEVIATION = 0.3186
"""This quantile of absolute Gaussian deviations lies at so many standard deviations: a robust scale, also
when the subject covers most of the picture."""

CORRELATED = 12.0
"""Number of neighbouring points with the information of one independent point: their errors are alike."""

STIFFNESS = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.25, 0.25])
"""Limit of each parameter's shift of the border, of ``reach``: perspective is nearly known."""

LEAST_SLOPE = 0.08
"""Change of detail from one pixel to the next from which a point counts."""

FLOOR = 0.12
"""Floor of the deviation of detail: noise and errors of interpolation."""

ENOUGH = 0.01
"""Change at the border, in pixels, at which the steps end: a tenth of the error that is corrected."""

LARGEST_USUAL = 0.25
"""Upper limit of the robust scale: in a picture that agrees nowhere the scale would be the whole detail."""

LEAST_POINTS = 32
"""Least points of a fit: four for each of the eight parameters."""

BORDER = 2
"""Width of the border, in pixels, without points: the central differences and the interpolation need it."""

BLOCKS = 8
"""Blocks across the picture, in which two motions are compared."""

LEAST_IN_BLOCK = 4
"""Least points of a block for a comparison. A choice between covered blocks and their noise."""

ALIKE = 0.02
"""Change of a block's mean deviation, in floors, below which the block counts for neither motion."""


@dataclass(frozen=True)
class Registration:
    """A motion that points agree on.

    Attributes:
        motion: From plate to frame, in pixels of these copies.
        support: Share of the points in view that agree, 0 to 1.
        remainder: Mean deviation of detail at the points in view, cut off where they disagree.
        correlation: Correlation of detail at the points in view, -1 to 1; about 0 where both show only noise.
    """

    motion: Matrix
    support: float
    remainder: float
    correlation: float


class DensePoints:
    """Points of a picture for its registration.

    Args:
        picture: Detail of the picture, ``(height, width)``.
        contrast: Its contrast; where that is noise, there are no points.
        each: Points taken from each cell, those of the steepest gradient.
    """

    def __init__(self, picture: Float32Array, contrast: Float32Array, *, each: int) -> None:
        self.size = (int(picture.shape[0]), int(picture.shape[1]))
        x_slope = cv2.Sobel(picture, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        y_slope = cv2.Sobel(picture, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
        steepness = (x_slope * x_slope + y_slope * y_slope) * (contrast > TEXTURED)
        rows, columns = _choose_steep(steepness, each, LEAST_SLOPE)
        self.values = picture[rows, columns]
        self.points: Points = np.stack([columns, rows], axis=1).astype(np.float64)
        self.slopes = np.stack([x_slope[rows, columns], y_slope[rows, columns]], axis=1)
        self._jacobian = self._differentiate()
        height, width = self.size
        scale = width / 2
        self._to_pixels = np.array([[scale, 0, (width - 1) / 2], [0, scale, (height - 1) / 2], [0, 0, 1.0]])
        self._from_pixels = invert(self._to_pixels)

    def __len__(self) -> int:
        return len(self.values)

    def block_parity(self, side: int) -> BoolArray:
        """Points on the black fields of a checkerboard with fields of ``side`` pixels."""
        columns, rows = (self.points // side).astype(int).T
        return np.asarray((columns + rows) % 2 == 0)

    def register(
        self,
        frame: Float32Array,
        start: Matrix,
        *,
        trust: Float32Array | None = None,
        reach: float,
        patience: float = 4.0,
        steps: int = 8,
    ) -> Registration | None:
        """Find the motion near ``start`` that maps these points to the frame.

        Args:
            frame: Like the picture, of the same size.
            start: Off by two pixels at most; detail is not alike over more.
            trust: Prior weight of each point, 0 to 1; None: 1.
            reach: Expected distance, in pixels, of the motion from ``start``: parameters that the points do
                not determine stay near it.
            patience: Factor on the robust scale in the first step, halved in each further one. Above 1 where
                ``start`` is far off.
            steps: The most Gauss-Newton steps.

        Returns:
            None if too few points are in view, or the steps do not converge.
        """
        motion = start
        prior = 1.0 / (reach * STIFFNESS / (self.size[1] / 2)) ** 2
        for _ in range(steps):
            seen = self.compare(frame, move(motion, self.points), trust=trust, patience=patience)
            if seen is None:
                return None
            off, weights = seen
            weighted = self._jacobian * weights[:, None]
            normal = (weighted.T @ self._jacobian).astype(np.float64) + np.diag(prior)
            change = np.linalg.solve(normal, (weighted.T @ off).astype(np.float64))
            motion = normalise(motion @ self._undo(change))
            if not np.all(np.isfinite(motion)):
                return None
            if patience <= 1 and np.abs(change).max() * self.size[1] / 2 < ENOUGH:
                break
            patience /= 2
        return self.judge(frame, motion, trust=trust)

    def judge(
        self, frame: Float32Array, motion: Matrix, *, trust: Float32Array | None = None
    ) -> Registration | None:
        """Measure the agreement of a motion without changing it."""
        seen = self._look(frame, move(motion, self.points), trust)
        if seen is None:
            return None
        off, known = seen
        total = float(known.sum())
        agreeing = np.clip(1.0 - (off / (TUKEY * FLOOR)) ** 2, 0.0, None) ** 2
        cut = np.minimum(np.abs(off), TUKEY * FLOOR)
        seen_values, own = off + self.values, self.values
        energy = float((known * seen_values**2).sum()) * float((known * own**2).sum())
        return Registration(
            motion,
            support=float((agreeing * known).sum()) / total,
            remainder=float((cut * known).sum()) / total,
            correlation=float((known * seen_values * own).sum()) / math.sqrt(max(energy, 1e-12)),
        )

    def compare(
        self, frame: Float32Array, places: Points, *, trust: Float32Array | None, patience: float
    ) -> tuple[Float32Array, Float32Array] | None:
        """Compare each point with the frame at its place.

        Returns:
            Deviations, frame minus plate, and their weights for least squares: Tukey's over the variance,
            with ``patience`` times the robust scale. None if too few points are in view.
        """
        seen = self._look(frame, places, trust)
        if seen is None:
            return None
        off, known = seen
        sizes = np.abs(off[known > 0.5])
        quiet = int(QUIET_SHARE * (len(sizes) - 1))
        usual = float(np.partition(sizes, quiet)[quiet]) / QUIET_DEVIATION
        scale = max(FLOOR, min(usual, LARGEST_USUAL)) * max(patience, 1.0)
        weights = known * np.clip(1.0 - (off / (TUKEY * scale)) ** 2, 0.0, None) ** 2
        return off, np.asarray(weights / (CORRELATED * scale**2), np.float32)

    def remainder(
        self, frame: Float32Array, places: Points, *, trust: Float32Array | None = None
    ) -> float | None:
        """Mean clipped deviation at these places; None if too few are in view."""
        seen = self._look(frame, places, trust)
        if seen is None:
            return None
        off, known = seen
        return float((np.minimum(np.abs(off), TUKEY * FLOOR) * known).sum() / known.sum())

    def share_of_blocks_improved(
        self, frame: Float32Array, old: Matrix, new: Matrix, *, trust: Float32Array | None = None
    ) -> float:
        """Share of the picture's blocks in which one motion agrees better than another, 0 to 1.

        A subject or its shadow changes a few blocks, a camera motion all. Blocks in which both agree alike
        count half.
        """
        first = self._look(frame, move(old, self.points), trust)
        second = self._look(frame, move(new, self.points), trust)
        if second is None:
            return 0.0
        if first is None:  # the old one shows nothing any more
            return 1.0
        (before, seen), (after, still_seen) = first, second
        known = (seen > 0.5) & (still_seen > 0.5)
        cut = TUKEY * FLOOR
        gains = (np.minimum(np.abs(before), cut) - np.minimum(np.abs(after), cut))[known]
        columns, rows = (self.points[known] // (self.size[1] / BLOCKS)).astype(int).T
        blocks = rows * (BLOCKS + 1) + columns
        counts = np.bincount(blocks)
        sums = np.bincount(blocks, gains)[counts >= LEAST_IN_BLOCK] / counts[counts >= LEAST_IN_BLOCK]
        if not len(sums):
            return 0.0
        return float(np.mean(np.where(np.abs(sums) < ALIKE * FLOOR, 0.5, sums > 0)))

    def _look(
        self, frame: Float32Array, places: Points, trust: Float32Array | None
    ) -> tuple[Float32Array, Float32Array] | None:
        """Frame minus plate, and the prior weight of each point: 0 out of view."""
        height, width = self.size
        limit = np.array([width - 1 - BORDER, height - 1 - BORDER])
        inside = np.all((places >= BORDER) & (places <= limit), axis=1)
        known = inside.astype(np.float32) if trust is None else inside * trust
        if np.count_nonzero(known > 0.5) < LEAST_POINTS:
            return None
        # Remap takes sides below 32768 only.
        padded = np.zeros((-(-len(places) // 1024) * 1024, 2), np.float32)
        padded[: len(places)] = np.where(inside[:, None], places, 0.0)
        columns, rows = (np.ascontiguousarray(axis).reshape(-1, 1024) for axis in padded.T)
        values = cv2.remap(frame, columns, rows, cv2.INTER_CUBIC).ravel()
        return np.asarray(values[: len(places)] - self.values, np.float32), np.asarray(known, np.float32)

    def _differentiate(self) -> Float32Array:
        """Derivative of each value by the eight parameters of :meth:`_undo`, ``(n, 8)``."""
        height, width = self.size
        scale = width / 2
        x_slope, y_slope = self.slopes.T
        u = (self.points[:, 0] - (width - 1) / 2) / scale
        v = (self.points[:, 1] - (height - 1) / 2) / scale
        along = x_slope * u + y_slope * v
        columns = [
            x_slope * u,
            x_slope * v,
            x_slope,
            y_slope * u,
            y_slope * v,
            y_slope,
            -along * u,
            -along * v,
        ]
        return np.asarray(scale * np.stack(columns, axis=1), dtype=np.float32)

    def _undo(self, change: npt.NDArray[np.float64]) -> Matrix:
        """The inverse of the homography of parameters that count in half widths from the picture's centre."""
        inner = np.append(change, 0.0).reshape(3, 3) + np.eye(3)
        return np.asarray(self._to_pixels @ np.linalg.inv(inner) @ self._from_pixels, dtype=np.float64)


def _choose_steep(steepness: Float32Array, each: int, least: float) -> tuple[IndexArray, IndexArray]:
    """Rows and columns of the steepest pixels of each cell."""
    rows, columns = steepness.shape[0] // CELL, steepness.shape[1] // CELL
    if not rows or not columns:
        none = np.zeros(0, np.intp)
        return none, none
    cells = steepness[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    cells = cells.swapaxes(1, 2).reshape(rows * columns, CELL * CELL)
    best = np.argpartition(cells, -each, axis=1)[:, -each:]
    strong = np.take_along_axis(cells, best, axis=1) > least**2
    cell, rank = np.nonzero(strong)
    inner = best[cell, rank]
    return (cell // columns) * CELL + inner // CELL, (cell % columns) * CELL + inner % CELL

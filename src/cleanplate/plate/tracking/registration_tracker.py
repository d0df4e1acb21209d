"""Tracking of the camera: points of the plate registered with one frame after the other.

The search goes from coarse to fine and starts at the last pose. Every frame is compared with the plate, not
with the frame before, so that errors do not add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Float32Array, Pixels
from cleanplate.plate.registration.dense import DensePoints, Registration
from cleanplate.plate.registration.homography import Matrix, is_plausible, move, scale_matrix, translation
from cleanplate.plate.structure import find_detail

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

LONGEST_SIDE = 640
"""Longest side of the copies for measuring motion: the frame is halved until it is no longer than this."""

EACH = (4, 2)
"""Points of each cell, on copies of half that size and on those."""

STEPS = 10
"""Largest number of steps of Gauss-Newton on each copy; they end earlier as a rule."""

REACH = 12.0
"""Expected motion from one frame to the next, in pixels of those copies: 48 pixels in HD."""

LEAST_SUPPORT = 0.35
"""Share of the points beside the subject that must agree; of another place, 0.25 do by chance."""

LEAST_CORRELATION = 0.35
"""Correlation of plate and frame beside the subject: noise agrees by chance, but does not correlate."""

KEPT_SUPPORT = 0.65
"""Least support as a share of the usual support in this shot."""

SUPPORT_FRAMES = 8.0
"""Frames over which the usual support is averaged."""

LEAST_IMPROVED = 0.6
"""Share of the picture's blocks in which a motion must agree better than none. Found on a figure that sways
in a dim room: see docs/log.md, 2026-11-23."""

LOST_FRAMES = 12
"""Frames without a motion after which less support is expected."""

SEARCH_STEP, SEARCH_STEPS = 1.5, 4
"""Starts after a loss: their distance in pixels of the smaller copy, and their number to each side."""


class Follower:
    """Registration of a plate with the frames of one shot, in order.

    Args:
        plate: The plate: uint8 or uint16 RGB of the frames' size.
        pose: From it to the first frame.
    """

    def __init__(self, plate: Pixels, pose: Matrix) -> None:
        self._height, self._width = plate.shape[:2]
        self._levels = [
            DensePoints(*view, each=each) for view, each in zip(_reduce(plate), EACH, strict=True)
        ]
        self._last = pose
        self._before: Float32Array | None = None
        self._support, self._lost = LEAST_SUPPORT, 0

    def expect(self, frame: Pixels) -> None:
        """Set the usual support from this frame and the present pose."""
        judged = self._levels[-1].judge(_reduce(frame)[-1][0], self._shrink(self._last, self._levels[-1]))
        if judged is not None:
            self._support = judged.support

    def measure(self, frame: Pixels, subject: BoolArray | None) -> Matrix | None:
        """Find the motion from the plate to the next frame.

        Args:
            frame: uint8 or uint16 RGB of the plate's size.
            subject: Mask of the subject in the frame before, of any size; None: unknown.

        Returns:
            None if too few points agree on a motion; the last motion if no other is better nearly everywhere.
        """
        details = [detail for detail, _ in _reduce(frame)]
        before, self._before = self._before, details[0]
        for starts in self._choose_starts(before, details[0]):
            motion = self._register(details, starts, subject)
            if motion is not None:
                self._lost = 0
                self._last = motion
                return motion
        # Expect less after a while: much of the scene may have changed, or be hidden.
        self._lost += 1
        if self._lost % LOST_FRAMES == 0:
            self._support *= KEPT_SUPPORT
        return None

    def _choose_starts(self, before: Float32Array | None, detail: Float32Array) -> Iterator[list[Matrix]]:
        """Choose starts: the last pose plus the motion of the whole picture; then a grid around it.

        The motion of the whole picture is measured by phase correlation with the frame before (Kuglin and
        Hines 1975).
        """
        last = self._shrink(self._last, self._levels[0])
        near = [last]
        if before is not None:
            shift, _ = cv2.phaseCorrelate(before, detail, _window(*detail.shape))
            near.append(translation(*shift) @ last)
        yield near
        reach = SEARCH_STEP * np.arange(-SEARCH_STEPS, SEARCH_STEPS + 1)
        yield [translation(x, y) @ last for x in reach for y in reach]

    def _register(
        self, details: list[Float32Array], starts: list[Matrix], subject: BoolArray | None
    ) -> Matrix | None:
        """Register from the best of these starts, which are in pixels of the smallest copy."""
        coarse = self._levels[0]

        def judge(start: Matrix) -> float:
            judged = coarse.judge(details[0], start, trust=self._trust(coarse, start, subject))
            return -1.0 if judged is None else judged.correlation

        motion = self._enlarge(max(starts, key=judge), coarse)
        found: Registration | None = None
        for detail, points in zip(details, self._levels, strict=True):
            start = self._shrink(motion, points)
            found = points.register(
                detail, start, trust=self._trust(points, start, subject), reach=REACH, steps=STEPS
            )
            if found is None:
                return None
            motion = self._enlarge(found.motion, points)
        if found is None or not is_plausible(motion, self._height, self._width):
            return None
        if found.correlation < LEAST_CORRELATION:
            return None
        needed = max(LEAST_SUPPORT, KEPT_SUPPORT * self._support)
        if found.support < needed:
            return None
        last = self._shrink(self._last, points)
        trust = self._trust(points, last, subject)
        if points.share_of_blocks_improved(detail, last, found.motion, trust=trust) < LEAST_IMPROVED:
            # Either the camera has not moved, or this pose is not the right one yet.
            rested = points.judge(detail, last, trust=trust)
            return self._last if rested is not None and rested.support >= needed else None
        self._support += (found.support - self._support) / SUPPORT_FRAMES
        return motion

    def _trust(self, points: DensePoints, motion: Matrix, subject: BoolArray | None) -> Float32Array | None:
        """Weights of the points: 0 on the subject, as far as its mask is known."""
        if subject is None:
            return None
        height, width = subject.shape
        rows, columns = points.size
        places = np.nan_to_num(move(motion, points.points), nan=-1.0)
        x = np.clip(places[:, 0] * width / columns, 0, width - 1).astype(int)
        y = np.clip(places[:, 1] * height / rows, 0, height - 1).astype(int)
        return np.asarray(~subject[y, x], dtype=np.float32)

    def _shrink(self, motion: Matrix, points: DensePoints) -> Matrix:
        rows, columns = points.size
        return scale_matrix(motion, columns / self._width, rows / self._height)

    def _enlarge(self, motion: Matrix, points: DensePoints) -> Matrix:
        rows, columns = points.size
        return scale_matrix(motion, self._width / columns, self._height / rows)


def coarse_size(height: int, width: int) -> tuple[int, int]:
    """``(height, width)`` of the smaller copy of a frame."""
    while max(height, width) > LONGEST_SIDE:
        height, width = height // 2, width // 2
    return max(1, height // 2), max(1, width // 2)


def _reduce(pixels: Pixels) -> list[tuple[Float32Array, Float32Array]]:
    """Detail and contrast of small copies, the smallest first."""
    small = coarse_size(*pixels.shape[:2])
    while max(pixels.shape[:2]) > LONGEST_SIDE:
        height, width = pixels.shape[:2]
        pixels = np.asarray(cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) * np.float32(1 / np.iinfo(pixels.dtype).max)
    half = cv2.resize(grey, small[::-1], interpolation=cv2.INTER_AREA)
    return [find_detail(np.asarray(one, np.float32)) for one in (half, grey)]


@lru_cache(maxsize=2)
def _window(rows: int, columns: int) -> Float32Array:
    """Window that fades a picture out to its border, because a Fourier transform sees an edge there."""
    return np.asarray(cv2.createHanningWindow((columns, rows), cv2.CV_32F), np.float32)

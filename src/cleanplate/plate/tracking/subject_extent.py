"""The region that a subject may fill: more than its matte, which misses parts that look like the plate.

A grey leg before a grey floor leaves a gap in the matte for seconds, and a foot apart from its body. Such
a gap lies within the convex hull of the body, or makes the body shorter or narrower than it was a moment ago.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import BoolArray

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

JOIN_SHARE = 0.03
"""Half of the largest distance between two parts of one body, as a share of the longer side. Chosen, not
measured."""

SMALLEST_SHARE = 0.0004
"""Share of the picture below which a part is a speck, as in ``static_objects``."""

MEMORY_SECONDS = 10.0
"""Time for which the largest size of a body is kept: chosen, several times the two seconds of the reported
case."""


@dataclass(frozen=True)
class Box:
    """Rows and columns of a body, the ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left


class BodyLock:
    """Estimate of the subject's extent, from one small matte after the other."""

    def __init__(self) -> None:
        self._height, self._width = 0, 0
        self._shorter = self._narrower = 0.0

    def cover(self, subject: BoolArray, seconds: float) -> BoolArray:
        """Extend the subject's mask by the parts that its matte may miss.

        Args:
            subject: Mask of pixels in which the matte is not surely empty, ``(height, width)``.
            seconds: Since the matte before.

        Returns:
            bool ``(height, width)``: the hulls of all bodies, the largest one extended to its former size.
        """
        rows, columns = subject.shape
        inside = subject.astype(np.uint8)
        largest: Box | None = None
        for points, box in _find_bodies(subject):
            cv2.fillConvexPoly(inside, cv2.convexHull(points), 1)
            if largest is None or box.height * box.width > largest.height * largest.width:
                largest = box
        if largest is None:
            return inside > 0
        self._remember(largest, seconds)
        # A body that is cut off by the border is smaller because it leaves.
        tall = 0 if largest.top == 0 or largest.bottom == rows else self._height - largest.height
        wide = 0 if largest.left == 0 or largest.right == columns else self._width - largest.width
        if tall > 0 or wide > 0:
            top, left = max(0, largest.top - tall), max(0, largest.left - wide)
            inside[top : largest.bottom + tall, left : largest.right + wide] = 1
        return inside > 0

    def _remember(self, body: Box, seconds: float) -> None:
        """Keep the largest size that was reached in the last :data:`MEMORY_SECONDS`."""
        self._shorter += seconds
        self._narrower += seconds
        if body.height >= self._height or self._shorter > MEMORY_SECONDS:
            self._height, self._shorter = body.height, 0.0
        if body.width >= self._width or self._narrower > MEMORY_SECONDS:
            self._width, self._narrower = body.width, 0.0


def _find_bodies(subject: BoolArray) -> list[tuple[npt.NDArray[np.int32], Box]]:
    """The points ``(x, y)`` and the box of each group of parts that lie side by side."""
    side = 2 * max(1, round(JOIN_SHARE * max(subject.shape))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    count, groups = cv2.connectedComponents(cv2.dilate(subject.astype(np.uint8), kernel))
    bodies = []
    for group in range(1, count):
        rows, columns = np.nonzero(subject & (groups == group))
        if len(rows) >= SMALLEST_SHARE * subject.size:
            box = Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
            bodies.append((np.stack([columns, rows], axis=1).astype(np.int32), box))
    return bodies

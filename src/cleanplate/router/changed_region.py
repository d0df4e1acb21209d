"""Where source and plate agree over a wide area nothing has to be computed: the region that changed.

The difference of the two small pictures, averaged over :data:`SPREAD` pixels so that noise cancels, is held
against a tolerance that follows the noise between them. Everything that may have changed lies in one
rectangle, with a margin for what the network wants to see around a subject. The tolerance is low on purpose:
a rectangle that is too large costs time, one that is too small costs a piece of the subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SPREAD = 5
"""Side of the square over which differences are averaged, in pixels of the coarse input."""

LEAST_CHANGE = 0.016
"""Mean difference that always passes for unchanged: four code values of 8 bit."""

MOST_TOLERANCE = 0.05
"""However noisy the pictures, what differs by more has changed."""

NOISE_FACTOR = 3.0
QUIET_SHARE = 0.25
"""The noise is read off the least different quarter of the picture, so a subject may fill the rest."""

SAMPLE_STEP = 4

MARGIN = 32
"""Pixels of the coarse input around what changed."""

GRAIN = 32
"""Sides of a region are multiples of this: runtimes like to meet the same sizes again."""

ALIGNMENT = 16
"""A region starts at a multiple of this, as the networks' strides want it."""

WORTHWHILE = 0.9
"""A region that is a larger share of the picture than this is not worth cutting out."""


@dataclass(frozen=True)
class Region:
    """A rectangle of the coarse input, in its pixels."""

    top: int
    left: int
    height: int
    width: int

    def scaled_down(self, stride: int) -> Region:
        """The same rectangle in maps that are ``stride`` times smaller."""
        return Region(self.top // stride, self.left // stride, self.height // stride, self.width // stride)


def tolerance(noise: float) -> float:
    """What difference passes for unchanged where the quiet parts differ by ``noise``."""
    return min(LEAST_CHANGE + NOISE_FACTOR * noise, MOST_TOLERANCE)


def enclose(rows: Sequence[bool], columns: Sequence[bool]) -> Region | None:
    """The region around all changed rows and columns of the coarse input; None if there are none.

    Its sides are multiples of :data:`GRAIN` or those of the whole input, which is also given where cutting
    would not pay.
    """
    if not any(rows):
        return None
    height, width = len(rows), len(columns)
    top, bottom = _span(rows)
    left, right = _span(columns)
    if (bottom - top) * (right - left) > WORTHWHILE * height * width:
        return Region(0, 0, height, width)
    return Region(top, left, bottom - top, right - left)


def _span(changed: Sequence[bool]) -> tuple[int, int]:
    """First and last (exclusive) index of the changed ones, with margin, widened to whole grains."""
    length = len(changed)
    hits = [index for index, hit in enumerate(changed) if hit]
    first, last = max(0, hits[0] - MARGIN) // ALIGNMENT * ALIGNMENT, min(length, hits[-1] + 1 + MARGIN)
    size = -(-(last - first) // GRAIN) * GRAIN
    if size >= length:
        return 0, length
    if first + size > length:
        first = (length - size) // ALIGNMENT * ALIGNMENT
        return first, length
    return first, first + size

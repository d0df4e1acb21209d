"""The region in which source and plate differ; elsewhere nothing has to be computed.

The difference of the two small pictures, averaged over :data:`SPREAD` pixels to reduce noise, is compared
with a tolerance that follows the noise between them. One rectangle encloses all changed pixels, with a
margin, because the network needs the surroundings of a subject. The tolerance is low on purpose: a
rectangle that is too large costs time, one that is too small costs a piece of the subject. Measured on the
sample's plate with these values: two empty frames count as equal up to noise of 10 of 255, and the region
of the sample clip holds all of its alpha (``benchmarks/thresholds.py``; docs/log.md, 2026-11-29).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SPREAD = 5
"""Side of the square over which differences are averaged, in pixels of the coarse input."""

LEAST_CHANGE = 0.016
"""Mean difference that always counts as unchanged: four code values of 8 bits."""

MOST_TOLERANCE = 0.05
"""Upper limit of the tolerance, for noisy pictures. Chosen, not measured."""

NOISE_FACTOR = 3.0
"""Tolerance above :data:`LEAST_CHANGE`, in differences of the quiet part. Chosen, not
measured."""

QUIET_SHARE = 0.25
"""Share of the picture, the least different part, that gives the noise; a subject may fill the rest.
Chosen, not measured."""

SAMPLE_STEP = 4

MARGIN = 32
"""Margin around the changed pixels, in pixels of the coarse input.

Measured: 32 in place of 48 narrows the bench's region from 512 to 416 columns (``docs/log.md``).
"""

GRAIN = 32
"""Sides of a region are multiples of this, so that few sizes occur: runtimes prepare each size once."""

ALIGNMENT = 16
"""A region starts at a multiple of this, the largest stride of the networks."""

WORTHWHILE = 0.9
"""Share of the picture above which cutting a region out does not pay. Chosen, not measured."""


@dataclass(frozen=True)
class ChangedRegion:
    """A rectangle of the coarse input, in its pixels."""

    top: int
    left: int
    height: int
    width: int

    def scaled_down(self, stride: int) -> ChangedRegion:
        """Give the same rectangle in maps that are ``stride`` times smaller."""
        return ChangedRegion(
            self.top // stride, self.left // stride, self.height // stride, self.width // stride
        )


def tolerance(noise: float) -> float:
    """Give the difference below which pixels count as unchanged; ``noise`` is that of the quiet parts."""
    return min(LEAST_CHANGE + NOISE_FACTOR * noise, MOST_TOLERANCE)


def enclose(rows: Sequence[bool], columns: Sequence[bool]) -> ChangedRegion | None:
    """Give the region around all changed rows and columns of the coarse input; None if there are none.

    Its sides are multiples of :data:`GRAIN`, or those of the whole input, which is also the result where
    cutting would not pay.
    """
    if not any(rows):
        return None
    height, width = len(rows), len(columns)
    top, bottom = _span(rows)
    left, right = _span(columns)
    if (bottom - top) * (right - left) > WORTHWHILE * height * width:
        return ChangedRegion(0, 0, height, width)
    return ChangedRegion(top, left, bottom - top, right - left)


def _span(changed: Sequence[bool]) -> tuple[int, int]:
    """Give the first and last (exclusive) changed index, with margin, widened to multiples of the grain."""
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

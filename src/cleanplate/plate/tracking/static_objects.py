"""Static objects: things that are not on the plate and have become part of the set, such as a moved chair.

A static object is told from a person who stands still by two measures. First, a person's outline does not
rest for seconds: scenery has been motionless for :data:`QUIET_SECONDS`. Second, the person who put a chair
down moves apart from it: something else has moved beside it for :data:`WITNESS_SECONDS` of these. A lone
still figure is the subject, and so is a still foot below a body that sways.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import BoolArray, Float32Array
from cleanplate.plate.structure import largest_channel

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

QUIET_SECONDS = 6.0
"""Time without motion after which a thing is learned by the plate. A choice: people rarely stand motionless
for so long; with 12 s a moved box is learned twice as late."""

WITNESS_SECONDS = 2.0
"""Time in which somebody else must have moved meanwhile, as evidence that a still thing is no person. A
choice."""

MEMORY_SECONDS = 1.5
"""Time constant of the mean picture for detecting motion: long enough for slow sway."""

SMOOTH_SIGMA = 2.5
"""Sigma, in pixels, above which a difference is light or shadow."""

LEAST_MOTION = 0.014
"""Change of a value of 1, after smoothing, from which a pixel moves at any noise."""

NOISE_FACTOR = 5.0
"""Deviations of the noise from which a pixel moves, after smoothing."""

COVERED = 0.1
"""Alpha from which a pixel belongs to a thing."""

SMALLEST_SHARE = 0.0004
"""Share of the picture below which something is a speck."""

RESTLESS_SHARE = 0.04
"""Share of a thing's pixels that may seem to move: noise."""

MOVING_SHARE = 0.05
"""Share of a thing's pixels that move when somebody does."""

APART_SHARE = 0.02
"""Gap between the columns of a thing and of a witness, as a share of the longer side. Chosen, not
measured."""


class Scenery:
    """Detector of static objects, on small pictures of one shot in one light."""

    def __init__(self) -> None:
        self._mean: Float32Array | None = None
        self._quiet: Float32Array = np.zeros((1, 1), np.float32)
        self._witnessed: Float32Array = np.zeros((1, 1), np.float32)
        self._noise = 0.0

    def watch(self, view: Float32Array, covered: Float32Array, seconds: float) -> BoolArray | None:
        """Process the next frame.

        Args:
            view: float32 RGB ``(height, width, 3)`` in the plate's light, so that a lamp is no motion.
            covered: The matte's alpha, ``(height, width)``.
            seconds: Since the frame before.

        Returns:
            Mask of things that have become scenery, dilated; None if there is none.
        """
        # The high-pass removes soft shadows: a shadow that passes over a thing does not move it.
        smooth = cv2.GaussianBlur(view, (0, 0), SMOOTH_SIGMA)
        view = np.asarray(cv2.GaussianBlur(view, (0, 0), 0.8) - smooth, dtype=np.float32)
        if self._mean is None or self._mean.shape != view.shape:
            self._mean = view.copy()
            self._quiet = np.zeros(covered.shape, np.float32)
            self._witnessed = np.zeros(covered.shape, np.float32)
            return None
        change = largest_channel(np.abs(view - self._mean))
        self._noise = 0.9 * self._noise + 0.1 * float(np.quantile(change[::2, ::2], 0.25))
        moving = change > max(LEAST_MOTION, NOISE_FACTOR * self._noise)
        cv2.accumulateWeighted(view, self._mean, 1.0 - float(np.exp(-seconds / MEMORY_SECONDS)))
        self._quiet = np.where(moving, 0, self._quiet + np.float32(seconds)).astype(np.float32)
        self._witnessed[moving] = 0
        return self._judge(covered > COVERED, moving, seconds)

    def _judge(self, somewhere: BoolArray, moving: BoolArray, seconds: float) -> BoolArray | None:
        """Separate the objects, find moving ones beside the still ones, and return the objects at rest."""
        count, labels, stats, _ = cv2.connectedComponentsWithStats(somewhere.astype(np.uint8))
        smallest = SMALLEST_SHARE * somewhere.size
        sizes = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
        restless = np.bincount(labels[moving], minlength=count) / np.maximum(sizes, 1)
        things = [label for label in range(1, count) if sizes[label] >= smallest]
        movers = [label for label in things if restless[label] > MOVING_SHARE]
        settled: BoolArray = np.zeros(somewhere.shape, bool)
        for label in things:
            if restless[label] > RESTLESS_SHARE:
                continue
            inside = labels == label
            if any(
                mover != label and _is_apart(stats[mover], stats[label], somewhere.shape) for mover in movers
            ):
                self._witnessed[inside] += np.float32(seconds)
            still = np.quantile(self._quiet[inside], RESTLESS_SHARE) >= QUIET_SECONDS
            if still and np.median(self._witnessed[inside]) >= WITNESS_SECONDS:
                settled |= inside
        if not settled.any():
            return None
        return np.asarray(cv2.dilate(settled.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)


def _is_apart(mover: npt.NDArray[np.int32], thing: npt.NDArray[np.int32], size: tuple[int, ...]) -> bool:
    """Tell whether two boxes ``(left, top, width, height, area)`` share no column (foot and body do)."""
    gap = APART_SHARE * max(size)
    left, right = mover[cv2.CC_STAT_LEFT], mover[cv2.CC_STAT_LEFT] + mover[cv2.CC_STAT_WIDTH]
    start, end = thing[cv2.CC_STAT_LEFT], thing[cv2.CC_STAT_LEFT] + thing[cv2.CC_STAT_WIDTH]
    return bool(start >= right + gap or end <= left - gap)

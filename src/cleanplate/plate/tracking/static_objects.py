"""Static objects: things that are not on the plate and have become part of the set, such as a moved chair.

Motion and company tell it from a person who stands still. No outline of a person rests for seconds. Whoever
put a chair down moves apart from it; a lone figure, however still, is the subject, and so is a still foot
below a body that sways. Scenery has been motionless for :data:`QUIET_SECONDS`, and for
:data:`WITNESS_SECONDS` of these something else has moved beside it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.plate.structure import Map, largest_channel

QUIET_SECONDS = 6.0
WITNESS_SECONDS = 2.0

MEMORY_SECONDS = 1.5
"""Time constant of the picture that motion is told by: slow sway must have moved on within it."""

SMOOTH_SIGMA = 2.5
"""Smoothness, in pixels, from which a difference is light or shadow."""

LEAST_MOTION = 0.014
"""Change of a value of 1, after smoothing, that is motion whatever the noise."""

NOISE_FACTOR = 5.0

COVERED = 0.1
"""Alpha from which a pixel belongs to something."""

SMALLEST_SHARE = 0.0004
"""Share of the picture below which something is a speck."""

RESTLESS_SHARE = 0.04
"""Share of a thing's pixels that may seem to move: noise."""

MOVING_SHARE = 0.05
"""Share of a thing's pixels that move when somebody does."""

APART_SHARE = 0.02
"""Gap between the columns of a thing and of a witness, as a share of the longer side. Chosen, not
measured."""

Mask = npt.NDArray[np.bool_]


class Scenery:
    """Watches small pictures of one shot, in one light."""

    def __init__(self) -> None:
        self._mean: Map | None = None
        self._quiet: Map = np.zeros((1, 1), np.float32)
        self._witnessed: Map = np.zeros((1, 1), np.float32)
        self._noise = 0.0

    def watch(self, view: Map, covered: Map, seconds: float) -> Mask | None:
        """Look at the next frame.

        Args:
            view: float32 RGB ``(height, width, 3)`` in the plate's light, so that a lamp is no motion.
            covered: The matte's alpha, ``(height, width)``.
            seconds: Since the frame before.

        Returns:
            Where something has become scenery, with a rim; None if there is none.
        """
        # Without what is smooth: somebody's shadow that passes over a thing does not move it.
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

    def _judge(self, somewhere: Mask, moving: Mask, seconds: float) -> Mask | None:
        """Tell the things apart, give the still ones their witnesses, pick those that have become scenery."""
        count, labels, stats, _ = cv2.connectedComponentsWithStats(somewhere.astype(np.uint8))
        smallest = SMALLEST_SHARE * somewhere.size
        sizes = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
        restless = np.bincount(labels[moving], minlength=count) / sizes
        things = [label for label in range(1, count) if sizes[label] >= smallest]
        movers = [label for label in things if restless[label] > MOVING_SHARE]
        settled: Mask = np.zeros(somewhere.shape, bool)
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
    """Whether two boxes ``(left, top, width, height, area)`` share no column: a foot lies below its owner."""
    gap = APART_SHARE * max(size)
    left, right = mover[cv2.CC_STAT_LEFT], mover[cv2.CC_STAT_LEFT] + mover[cv2.CC_STAT_WIDTH]
    start, end = thing[cv2.CC_STAT_LEFT], thing[cv2.CC_STAT_LEFT] + thing[cv2.CC_STAT_WIDTH]
    return bool(start >= right + gap or end <= left - gap)

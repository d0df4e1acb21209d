"""Capture of a plate: the median of 0.8 seconds of the empty set, after checks for motion and drift.

The thresholds are chosen. Measured with them on the sample's plate: noise of 16 of 255 and light that rises
by 3% are accepted, a rise of 5% and a moving square of 4 pixels at 720p are refused, and so are all 7 parts
of the sample clip (``benchmarks/thresholds.py``; docs/log.md, 2026-11-29).
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from cleanplate.errors import PlateError
from cleanplate.frame import AnyArray, Float32Array, Frame, Pixels
from cleanplate.plate import Plate
from cleanplate.plate.sampling import take_median
from cleanplate.plate.structure import reduce_picture

SECONDS = 0.8
"""Duration of the capture in seconds."""

MOST_FRAMES, LEAST_FRAMES = 15, 5
MOST_BYTES = 256 << 20
"""Largest and smallest number of frames of a plate, and the largest memory for them in bytes."""

PATIENCE_SECONDS = 5.0
"""Seconds that a camera may take to settle before the capture fails."""

VIEW_SIDE = 240
"""Longest side of the reduced copies for the checks, in pixels."""

DRIFT = 0.02
"""Largest change of the picture's mean from the first to the last third, as a share, without drift."""

MOVED = 0.035
"""Difference of colour in [0, 1], after exposure matching, that counts as motion."""

MOVED_SHARE = 0.0008
"""Share of the picture that may move, such as a corner of a screen or a leaf."""

DARK = 0.012
"""Mean of a picture, in [0, 1], below which it counts as black."""


class PlateTaker:
    """Collects frames and takes their median as the plate.

    Args:
        frame_bytes: Size of one frame; it limits the number of frames in memory.
    """

    def __init__(self, frame_bytes: int) -> None:
        self._count = max(LEAST_FRAMES, min(MOST_FRAMES, MOST_BYTES // max(1, frame_bytes)))
        self._frames: deque[tuple[float, Pixels, Float32Array]] = deque()
        self._began: float | None = None

    def add(self, frame: Frame) -> Plate | None:
        """Add the next frame; returns the plate once there are enough frames.

        Raises:
            PlateError: Something moves, the camera does not settle, or the picture is black.
        """
        now = float(frame.time_seconds)
        self._began = now if self._began is None else self._began
        spacing = SECONDS / self._count
        if not self._frames or now - self._frames[-1][0] >= 0.9 * spacing:
            self._frames.append((now, frame.pixels, reduce_picture(frame.pixels, VIEW_SIDE)))
        enough = len(self._frames) >= LEAST_FRAMES and now - self._frames[0][0] >= SECONDS - spacing
        if not enough:
            return None
        views = np.stack([view for *_, view in self._frames])
        if float(views.mean()) < DARK:
            raise PlateError("The picture is black.", "open the camera's shutter, or switch a light on")
        drift = _measure_drift(views)
        if abs(drift) > DRIFT:
            if now - self._began > PATIENCE_SECONDS:
                raise PlateError(
                    f"The camera is still adapting: the picture became {abs(drift):.0%} "
                    f"{'brighter' if drift > 0 else 'darker'} within a second.",
                    "wait for the light to settle, or switch the camera's automatic exposure off",
                )
            while now - self._frames[0][0] > SECONDS / 2:
                self._frames.popleft()
            return None
        _refuse_motion(views)
        return Plate(take_median([pixels for _, pixels, _ in self._frames]))


def _measure_drift(views: Float32Array) -> float:
    """Measure the change of brightness over the frames, ``(frames, height, width, 3)``, as a share."""
    third = max(1, len(views) // 3)
    return float(views[-third:].mean() / max(float(views[:third].mean()), 1e-6) - 1)


def _refuse_motion(views: Float32Array) -> None:
    usual = np.median(views, axis=0)
    # After exposure matching, as flicker of lamps is no motion.
    gains = usual.mean(axis=(0, 1)) / np.maximum(views.mean(axis=(1, 2)), 1e-6)
    apart = np.abs(views * gains[:, None, None] - usual).max(axis=(0, 3))
    moved = cv2.blur(np.asarray(apart, np.float32), (3, 3)) > MOVED
    share = float(moved.mean())
    if share <= MOVED_SHARE:
        return
    raise PlateError(
        f"Something moved {_place(moved)} while the plate was captured ({max(share, 0.001):.1%} of it).",
        "leave the picture empty: no people, and no shadows of people",
    )


def _place(moved: AnyArray) -> str:
    """Describe in words where most of the motion is."""
    columns = np.flatnonzero(moved.any(axis=0))
    middle = float(np.average(np.arange(moved.shape[1]), weights=moved.sum(axis=0))) / moved.shape[1]
    if (columns[-1] - columns[0]) > 0.6 * moved.shape[1]:
        return "in the picture"
    return ("on the left", "in the middle", "on the right")[min(2, int(3 * middle))]

"""Samples of a clip: some hundred small pictures at any length, with masks of motion."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.frame import BoolArray, ByteArray, Float32Array, Frame
from cleanplate.plate.structure import reduce_picture

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

MOST_SAMPLES = 128
"""Largest number of samples: twice as many take twice the memory and time, with little gain."""

SEARCH_SIDE = 640
"""Longest side of the grey copies for measuring the camera's motion."""

VIEW_SIDE = 256
"""Longest side of the copies for choosing the background."""

MOTION_SIDE = 160
"""Longest side of the copies for detecting motion."""

LEAST_MOTION = 0.02
"""Change of luminance, of 1, from which a pixel moves at any noise: five code values of 255."""

MEMORY_FRAMES = 10
"""Earlier frames whose mean a frame is compared with: sway is too slow to show from one frame to the next. A
plain mean forgets a subject after that many frames; an exponential mean, after three times as many."""

NOISE_FACTOR = 6.0
"""Deviations of the noise from which a pixel moves: at 6, chance moves less than a pixel of any frame."""

SCENE_SHARE = 0.5
"""Share of moving pixels from which the camera or the light has changed; such frames tell no motion."""

BODY_REACH = 16
"""Half of the largest distance, in pixels at that size, between two sides of one body."""

LEAST_PIXELS = 6
"""Least moving pixels of a group; smaller groups are noise."""


@dataclass
class Sample:
    """One sampled frame.

    Attributes:
        index: The frame's position in the clip.
        search: Grey, to measure motion on.
        view: RGB, ``(height, width, 3)``.
        restless: Mask of motion from this sample to the next one, filled to convex hulls; size of ``view``.
    """

    index: int
    search: ByteArray
    view: ByteArray
    restless: BoolArray


@dataclass(frozen=True)
class Samples:
    """Samples of a clip: evenly spaced frames.

    Attributes:
        samples: In order; :data:`MOST_SAMPLES` at most.
        frames: Number in the clip.
        height: Height of its frames.
        width: Width of its frames.
        dtype: Type of its pixels.
    """

    samples: list[Sample]
    frames: int
    height: int
    width: int
    dtype: np.dtype[np.generic]


def look_over(frames: Iterable[Frame]) -> Samples | None:
    """Read a clip once; None if it has no frames.

    Every frame is compared with the mean of earlier frames; every ``stride``-th is kept. When there are too
    many samples, every other one is dropped and the stride doubles: the length of a clip need not be known.
    """
    kept: list[Sample] = []
    stride, count = 1, 0
    earlier: deque[Float32Array] = deque(maxlen=MEMORY_FRAMES)
    first: Frame | None = None
    for frame in frames:
        first = first or frame
        grey = cv2.cvtColor(reduce_picture(frame.pixels, MOTION_SIDE), cv2.COLOR_RGB2GRAY)
        small = np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), dtype=np.float32)
        if earlier:
            usual = np.asarray(np.mean(earlier, axis=0), np.float32)
            kept[-1].restless |= _find_motion(usual, small, kept[-1].restless.shape)
        earlier.append(small)
        if count % stride == 0:
            kept.append(_keep(frame, count))
        count += 1
        if len(kept) > MOST_SAMPLES:
            for even, odd in zip(kept[::2], kept[1::2], strict=False):
                even.restless |= odd.restless
            kept = kept[::2]
            stride *= 2
    if first is None:
        return None
    return Samples(kept, count, first.height, first.width, first.pixels.dtype)


def _keep(frame: Frame, index: int) -> Sample:
    search = cv2.cvtColor(reduce_picture(frame.pixels, SEARCH_SIDE), cv2.COLOR_RGB2GRAY)
    view = _to_bytes(reduce_picture(frame.pixels, VIEW_SIDE))
    return Sample(index, _to_bytes(np.asarray(search, np.float32)), view, np.zeros(view.shape[:2], bool))


def _find_motion(usual: Float32Array, after: Float32Array, size: tuple[int, ...]) -> BoolArray:
    change = np.abs(after - usual)
    noise = float(np.median(change))
    moved = change > max(LEAST_MOTION, NOISE_FACTOR * noise)
    if not moved.any() or moved.mean() > SCENE_SHARE:
        return np.zeros(size, bool)
    # A body changes at its rim only: the convex hull of neighbouring moving pixels counts as moving.
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BODY_REACH + 1, 2 * BODY_REACH + 1))
    count, groups = cv2.connectedComponents(cv2.dilate(moved.astype(np.uint8), reach))
    inside = np.zeros(moved.shape, np.uint8)
    for group in range(1, count):
        rows, columns = np.nonzero(moved & (groups == group))
        if len(rows) >= LEAST_PIXELS:
            hull = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32))
            cv2.fillConvexPoly(inside, hull, 1)
    return np.asarray(cv2.resize(inside, (size[1], size[0]), interpolation=cv2.INTER_NEAREST) > 0)


def _to_bytes(picture: Float32Array) -> ByteArray:
    return np.asarray(np.rint(picture * 255), dtype=np.uint8)

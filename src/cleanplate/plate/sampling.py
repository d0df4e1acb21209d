"""Frames spread over a clip of unknown length, read once in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cleanplate.frame import Frame, Pixels

MEDIAN_STRIP_PIXELS = 1 << 18
"""Pixels of a frame per block of the median."""


def spread_frames(frames: Iterable[Frame], count: int) -> list[Pixels]:
    """Pick about ``count`` evenly spaced frames, the first among them; all of a shorter clip.

    Every k-th frame is kept; at twice the wanted number every other one is dropped and k doubled. The result
    has ``count`` to ``2 * count - 1`` frames.
    """
    kept: list[Pixels] = []
    step = 1
    for number, frame in enumerate(frames):
        if number % step == 0:
            kept.append(frame.pixels)
            if len(kept) == 2 * count:
                kept = kept[::2]
                step *= 2
    return kept


def take_median(pictures: list[Pixels]) -> Pixels:
    """The median of each value over pictures of one shape and type."""
    if len(pictures) == 1:
        return pictures[0]
    result = np.empty_like(pictures[0])
    height, width = result.shape[:2]
    step = max(1, MEDIAN_STRIP_PIXELS // width)
    for top in range(0, height, step):
        strip = np.stack([picture[top : top + step] for picture in pictures])
        middle = (len(pictures) - 1) // 2
        # The lower median, not the mean of two: an element of the same type.
        result[top : top + step] = np.partition(strip, middle, axis=0)[middle]
    return result

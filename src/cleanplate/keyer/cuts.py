"""Detection of cuts between the shots of a clip."""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.frame import ByteArray, Float32Array, Frame, Pixels, check_array, to_depth

THUMBNAIL = (36, 64)
"""Height and width of the thumbnails; motion below one of their pixels has no effect."""

HUES, DEPTHS = 16, 8

LEAST_LIKENESS = 0.6
"""Correlation of two frames' thumbnails below which the picture is another one, or has moved far. Measured on
400 pairs of backgrounds with and without a cut (docs/log.md, 2026-11-23)."""

LEAST_COLOURS_IN_COMMON = 0.7
"""Share of common colours below which the place is another one, or its light. Measured on the same pairs."""


class CutDetector:
    """Detects for each frame whether it begins another shot.

    A cut changes both the layout and the colours. A pan or a running person changes only the layout, a flash
    or a lamp changes only the colours: thumbnails are compared by correlation, which ignores gain and offset.
    Dissolves are not detected.
    """

    def __init__(self) -> None:
        self._before: tuple[Float32Array, Float32Array] | None = None

    def __call__(self, frame: Frame) -> bool:
        """Check the next frame; False for the first one."""
        thumbnail = _shrink(frame.pixels)
        grey = _standardise(thumbnail)
        colours = _count_colours(thumbnail)
        before, self._before = self._before, (grey, colours)
        if before is None:
            return False
        likeness = float((grey * before[0]).mean())
        common = float(np.minimum(colours, before[1]).sum())
        return likeness < LEAST_LIKENESS and common < LEAST_COLOURS_IN_COMMON

    def snapshot(self) -> tuple[Float32Array, Float32Array] | None:
        """State: the frame before, reduced."""
        return self._before

    def restore(self, snapshot: tuple[Float32Array, Float32Array] | None) -> None:
        """Continue from there.

        Raises:
            ValueError: Its arrays have another type or shape.
        """
        if snapshot is not None:
            grey, colours = snapshot
            check_array(grey, "the frame before", np.float32, THUMBNAIL)
            check_array(colours, "the colours before", np.float32, (HUES, DEPTHS))
        self._before = snapshot


def _shrink(pixels: Pixels) -> ByteArray:
    # Every few pixels are enough for means over hundreds.
    step = max(1, min(pixels.shape[0] // (4 * THUMBNAIL[0]), pixels.shape[1] // (4 * THUMBNAIL[1])))
    some = to_depth(np.ascontiguousarray(pixels[::step, ::step]), np.uint8)
    return np.asarray(cv2.resize(some, THUMBNAIL[::-1], interpolation=cv2.INTER_AREA))


def _standardise(thumbnail: ByteArray) -> Float32Array:
    """Grey with mean 0 and deviation 1; zeros, without correlation to any picture, if there is no detail."""
    grey = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey -= grey.mean()
    return np.asarray(grey / max(float(grey.std()), 1.0), np.float32)


def _count_colours(thumbnail: ByteArray) -> Float32Array:
    """Histogram of hue and saturation, as shares of the pixels; brightness is ignored."""
    hsv = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1], None, [HUES, DEPTHS], [0, 180, 0, 256])
    smooth = cv2.GaussianBlur(counts, (3, 3), 0.6, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth / smooth.sum(), np.float32)

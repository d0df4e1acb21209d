"""Spreading of a hint from its strokes over the coarse alpha.

White strokes raise alpha, black ones lower it. Each grows through pixels of a similar colour, until the
network's own belief in the opposite outweighs it::

    alpha + lift * (1 - alpha) - drop * alpha        lift = white / (white + black + background)
                                                     drop = black / (black + white + subject)

All four are sums over the surroundings: of the strokes, and of the network's belief in background and
subject. They are made by the recursive filter of the domain transform, which stops at edges of the picture
(Gastal and Oliveira, Domain Transform for Edge-Aware Image and Video Processing, 2011).
"""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.frame import AnyArray, BoolArray, ByteArray, Float32Array

REACH = 0.008
"""Standard deviation of the filter in flat colour, as a share of the longer side. Of 0.008 and 0.012, the
larger one blurred the border of a stroke in the background by 30 pixels of 1920 x 1080."""

EDGE = 0.06
"""Difference of colour, in [0, 1] and summed over the channels, that counts as much as the reach. Chosen by
looking."""

STROKE = 4.0
"""Weight of a stroke's pixel; a pixel of which the network is sure has 1."""

UNSURE = 4.0
"""Share of the belief that each unit of expected error takes away."""

TOUCHED = (0.015, 0.04)
"""A connected part is filled in full if this larger share of it lies at strokes, not at all below the smaller
one. A line through a hole touches some 0.08 of it, and the same line in a whole background 0.001."""

BELIEF = 0.02
"""Least belief, where the network is not sure at all."""

ITERATIONS = 3

LEAST, MOST = 0.05, 0.85
"""Lift and drop up to the first number count as 0, and from the second on as 1: far from the strokes nothing
changes, on them the hint holds."""

GAP = 0.006
"""Half of the width of gaps that are closed, between strokes and parts and at the rim of a filled part, as a
share of the longer side: 3 pixels of 480. Chosen by looking at the rims of holes."""

_NEXT = np.ones((3, 3), np.uint8)


def spread_hint(
    guide: Float32Array,
    alpha: Float32Array,
    error: Float32Array,
    white: Float32Array,
    black: Float32Array,
) -> Float32Array:
    """Change alpha by a hint.

    Args:
        guide: The picture in [0, 1], ``(3, height, width)``.
        alpha: The network's, in [0, 1], ``(height, width)``.
        error: The error of alpha that it expects, in [0, 1].
        white: Strength of the strokes for the subject, in [0, 1].
        black: Strength of those for the background.

    Returns:
        The new alpha; the same object if the strokes agree with it.
    """
    if float((white * (1 - alpha) + black * alpha).max()) <= LEAST:
        return alpha
    sure = BELIEF + (1 - BELIEF) * (1 - np.clip(UNSURE * error, 0, 1)) ** 2
    holes, islands = _fill_parts(alpha < 0.5, white, black), _fill_parts(alpha >= 0.5, black, white)
    white, black = np.maximum(white, holes), np.maximum(black, islands)
    background, subject = sure * (1 - holes) * (1 - alpha), sure * (1 - islands) * alpha
    summed = _smooth(guide, np.stack([STROKE * white, STROKE * black, background, subject], axis=2))
    white, black, background, subject = np.moveaxis(summed, 2, 0)
    lift = _sharpen(white / (white + black + background + 1e-6))
    drop = _sharpen(black / (black + white + subject + 1e-6))
    changed = alpha + lift * (1 - alpha) - drop * alpha
    rim = _disc(_measure_gap(changed))
    for change, close in ((lift, cv2.MORPH_CLOSE), (drop, cv2.MORPH_OPEN)):
        near = cv2.dilate((change >= 0.5).astype(np.uint8), rim) > 0
        changed = np.where(near, cv2.morphologyEx(changed, close, rim), changed)
    return np.asarray(changed, np.float32)


def _fill_parts(part: BoolArray, strokes: Float32Array, others: Float32Array) -> Float32Array:
    """Extend strokes over the connected parts that they touch along much of their area, in [0, 1].

    Strokes are borders of parts, so that a line across the mouth of a bay makes a hole of it. A part with
    strokes of the other kind stays.
    """
    # Gaps on either side of a stroke, and thin ways through a part, are closed.
    gap = _measure_gap(strokes)
    walls = cv2.dilate((strokes >= 0.5).astype(np.uint8), _disc(gap))
    inside = cv2.erode((part & (walls == 0)).astype(np.uint8), _NEXT)
    count, labels = cv2.connectedComponents(inside, connectivity=4, ltype=cv2.CV_32S)
    areas = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    touched = np.bincount(labels[cv2.dilate(walls, _NEXT, iterations=2) > 0], minlength=count) / areas
    stays = np.bincount(labels[others >= 0.5], minlength=count) > 0
    shares = np.clip((touched - TOUCHED[0]) / (TOUCHED[1] - TOUCHED[0]), 0, 1) * ~stays
    shares[0] = 0
    fill: Float32Array = shares[labels].astype(np.float32)
    # Back into the closed gaps, as far as the strokes.
    free = part & (strokes < 0.5)
    for _ in range(2 * gap + 1):
        fill = np.asarray(cv2.dilate(fill, _NEXT) * free, np.float32)
    return fill


def _measure_gap(like: Float32Array) -> int:
    return max(2, int(GAP * max(like.shape) + 0.5))


def _disc(radius: int) -> ByteArray:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _smooth(guide: Float32Array, values: Float32Array) -> Float32Array:
    """Average ``(height, width, channels)`` over the surroundings, up to the edges of the guide."""
    height, width = values.shape[:2]
    reach = max(1.5, REACH * max(height, width))
    steps = [1 + reach / EDGE * np.abs(np.diff(guide, axis=axis)).sum(0) for axis in (1, 2)]
    result = values.copy()
    for number in range(ITERATIONS):
        # Standard deviations that add up to the reach, as in the paper.
        deviation = reach * np.sqrt(3) * 2 ** (ITERATIONS - number - 1) / np.sqrt(4**ITERATIONS - 1)
        for axis, step in ((1, steps[1].T), (0, steps[0])):
            _run_along(np.swapaxes(result, 0, axis), np.exp(-np.sqrt(2) / deviation * step))
    return np.asarray(result, np.float32)


def _run_along(values: AnyArray, keep: AnyArray) -> None:
    """Filter the first axis forth and back, in place."""
    for index in range(1, len(values)):
        values[index] += keep[index - 1][:, None] * (values[index - 1] - values[index])
    for index in range(len(values) - 2, -1, -1):
        values[index] += keep[index][:, None] * (values[index + 1] - values[index])


def _sharpen(share: Float32Array) -> Float32Array:
    part = np.clip((share - LEAST) / (MOST - LEAST), 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)

"""Occupied places: masks of motion, and of subjects that have stopped without leaving.

A subject that holds still for a moment is still there. A place with motion stays occupied until a filled area
of it changes colour, as when a body leaves; a change along a rim is sway. The same holds backwards in time,
from the first motion to the start of the clip.
"""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Float32Array, IndexArray
from cleanplate.plate.building.clip_samples import MEMORY_FRAMES
from cleanplate.plate.structure import largest_channel

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

REDUCTION = 2
"""Factor between the samples' views and the copies on which places are compared."""

CHANGED = 0.06
"""Difference of a channel, of 1, from which a place looks different: 15 code values of 255."""

TOLERANCE = 5
"""Side, in pixels, of the neighbourhood whose range of colours a pixel is compared with: the pattern of
clothes moves with a body that sways."""

SOLID = 0.4
"""Least share of its hull that a change fills when a body has left: sway changes rims only."""

LEAST_CHANGE = 0.004
"""Least area of a change, as a share of the picture."""

LEAST_REST = 0.25
"""Least share of an occupied place in which motion ends at once when a body comes to rest: a hull that
shrinks a little frees its corners only."""

LEAST_UNCHANGED = 0.5
"""Least share of the area freed by motion that keeps its colours when a body comes to rest: the hull of two
subjects, one leaving and one arriving, holds empty background between them."""

USUAL_MOTION = 0.3
"""Samples with motion, as a share of the most in the same place, from which a body may rest there: the hull
of two subjects, or of the path of one, holds empty background for a short time."""


def find_occupied(views: Float32Array, restless: BoolArray, frames: int) -> BoolArray:
    """Extend motion in time over the moments in which its subject holds still.

    Args:
        views: float32 RGB in [0, 1], ``(samples, height, width, 3)``, registered and in one light.
        restless: Masks of motion around the time of a sample, ``(samples, height, width)``.
        frames: Number in the clip.

    Returns:
        ``restless`` and the places occupied without motion, of the same shape.
    """
    small = np.stack([cv2.GaussianBlur(view, (0, 0), 1.0)[::REDUCTION, ::REDUCTION] for view in views])
    moving = restless[:, ::REDUCTION, ::REDUCTION]
    # A sample at which motion has just ended may show the place already empty: look farther back, too.
    lag = -(-(MEMORY_FRAMES + 2) * len(views) // max(frames, 1))
    lags = list(range(0, lag + 1, max(1, lag // 6)))
    resting = _follow(small, moving, lags) | _follow(small[::-1], moving[::-1], lags)[::-1]
    size = restless.shape[2], restless.shape[1]
    enlarged = [cv2.resize(each.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for each in resting]
    return restless | (np.stack(enlarged) > 0)


def _follow(views: Float32Array, moving: BoolArray, lags: list[int]) -> BoolArray:
    """Places occupied without motion, in the order of the samples."""
    resting = np.zeros_like(moving)
    rows, columns = np.indices(moving.shape[1:])
    last = np.zeros(moving.shape[1:], np.intp)
    often = moving.sum(axis=0)
    kernel = np.ones((TOLERANCE, TOLERANCE), np.uint8)
    least, most = (np.stack([act(view, kernel) for view in views]) for act in (cv2.erode, cv2.dilate))
    occupied = moving[0]
    for number in range(1, len(views)):
        last = np.where(moving[number - 1], number - 1, last)
        left = occupied & ~moving[number]
        if left.any():
            changed = np.zeros(left.shape, bool)
            for lag in lags:
                before = np.maximum(last - lag, 0), rows, columns
                apart = np.maximum(views[number] - most[before], least[before] - views[number])
                changed |= largest_channel(apart) > CHANGED
            stays = left & ~_find_vacated(changed & left)
            resting[number] = _keep_bodies(stays, left, occupied, often)
        occupied = moving[number] | resting[number]
    return resting


def _find_vacated(changed: BoolArray) -> BoolArray:
    """Hulls of the changes that are large and solid."""
    opened = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, groups = cv2.connectedComponents(cv2.dilate(opened, np.ones((5, 5), np.uint8)))
    vacated = np.zeros(changed.shape, bool)
    for group in range(1, count):
        change = (opened > 0) & (groups == group)
        area = np.count_nonzero(change)
        if area < LEAST_CHANGE * change.size:
            continue
        rows, columns = np.nonzero(change)
        outline = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32))
        hull = np.asarray(cv2.fillConvexPoly(np.zeros(changed.shape, np.uint8), outline, 1) > 0)
        if area >= SOLID * np.count_nonzero(hull):
            vacated |= hull
    return vacated


def _keep_bodies(
    stays: BoolArray,
    left: BoolArray,
    occupied: BoolArray,
    often: IndexArray,
) -> BoolArray:
    """Drop the corners of hulls: small parts of a connected place, and parts with little motion."""
    count, parts = cv2.connectedComponents(occupied.astype(np.uint8))
    places = np.asarray(parts, np.intp)
    most = np.zeros(count, np.intp)
    np.maximum.at(most, places.ravel(), often.ravel())
    stays = stays & (often >= USUAL_MOTION * most[places])
    whole = np.bincount(places.ravel(), minlength=count)
    part = np.bincount(places[stays], minlength=count)
    unchanged = part >= LEAST_UNCHANGED * np.bincount(places[left], minlength=count)
    large = (part >= LEAST_REST * whole) & unchanged
    large[0] = False
    return np.asarray(stays & large[places])

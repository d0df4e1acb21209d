"""Occupied places: where something moves, and where it has stopped without leaving.

A subject that holds still for a moment is still there. A place in which something moved stays occupied until
its look changes as a body would change it: by an area that is filled, not by a rim. The same holds backwards
in time, from the first motion to the start of the clip.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.plate.building.clip_samples import MEMORY_FRAMES
from cleanplate.plate.structure import largest_channel

REDUCTION = 2
"""Factor between the samples' views and the copies on which places are compared."""

CHANGED = 0.06
"""Difference of a channel, of 1, from which a place looks different."""

TOLERANCE = 5
"""Pixels of the neighbourhood whose range of colours a look is compared with: a body that sways takes the
pattern of its clothes along."""

SOLID = 0.4
"""Share of its hull that a change fills, at least, when a body has left: swaying changes rims only."""

LEAST_CHANGE = 0.004
"""Share of the picture of the smallest change that is one."""

LEAST_REST = 0.25
"""Share of an occupied place that has to be left by motion at once for a body to rest there: a hull that
becomes a little smaller leaves its corners."""

LEAST_UNCHANGED = 0.5
"""Share of the area that motion leaves which must look as before for a body to rest there: a hull around
two subjects, of which one goes and one comes, holds empty background between them."""

USUAL_MOTION = 0.3
"""Samples with motion, as a share of the most in the same place, from which a body may rest there: a hull
around two subjects, or around the path of one, holds empty background for a short time."""

Masks = npt.NDArray[np.bool_]


def find_occupied(views: npt.NDArray[np.float32], restless: Masks, frames: int) -> Masks:
    """Extend motion in time over the moments in which its subject holds still.

    Args:
        views: float32 RGB in [0, 1], ``(samples, height, width, 3)``, of one light, lying on each other.
        restless: Where something moved around the time of a sample, ``(samples, height, width)``.
        frames: How many the clip has.

    Returns:
        ``restless`` and the places that are occupied without motion, of the same shape.
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


def _follow(views: npt.NDArray[np.float32], moving: Masks, lags: list[int]) -> Masks:
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


def _find_vacated(changed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
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
    stays: npt.NDArray[np.bool_],
    left: npt.NDArray[np.bool_],
    occupied: npt.NDArray[np.bool_],
    often: npt.NDArray[np.intp],
) -> npt.NDArray[np.bool_]:
    """Drop the corners of hulls: small parts of a connected place, and those in which motion is rare."""
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

"""Detection of somebody in the plate, by the outlines of the difference between plate and frames.

Where a frame shows a subject before the set, and the plate the set alone, the frame has an edge along the
outline of their difference, and the plate has edges there by chance only: as many as along the same
outline laid elsewhere. Where the plate shows a subject, its edges lie along that outline more often than
chance explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import BoolArray, Float32Array, Pixels
from cleanplate.plate.checking.image_quality import Intruder, find_steady_intruder
from cleanplate.plate.photometry.illumination import measure_light, relight
from cleanplate.plate.registration.homography import Matrix, invert, move, scale_matrix
from cleanplate.plate.structure import find_structure, reduce_picture

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

VIEW_SIDE = 320
"""Longest side of the copies for this detection: noise is averaged, and a pixel is six of HD."""

DIFFERENT = 0.05
"""Difference of colour from which a pixel shows something else. Chosen, not measured."""

HIGHLIGHT = 0.9
"""Limit, of 1, to which plate and frame are clipped before the comparison: highlights that the plate has lost
may still show in the frame. Chosen on one scene with a lamp at the side and a window."""

LEAST_STEP = 0.06
"""Difference of the two steps across an outline from which a point of it has a vote."""

MOST_WEIGHT = 0.3
"""Step difference at which the weight of a vote ends to grow."""

IN, OUT = 2.0, 3.0
"""Distances from the outline, in pixels, at which its two sides are sampled; the tolerance of the difference
puts the outline a pixel inside of the edge."""

ELSEWHERE = ((0.075, 0.0), (-0.075, 0.0), (0.0, 0.05), (0.0, -0.05), (0.125, 0.0375), (-0.125, -0.0375))
"""Shifts of the outline, in shares of the longer side, for counting the edges that lie on it by chance."""

PLATE_OWNED = -0.25
"""Mean owner, smoothed along the outline, below which a piece of it is the plate's."""

LEAST_POINTS = 40
"""Least points of the outline, over all frames, for a verdict."""

SUSPECT, GUILTY = 0.21, 0.5
"""Scores (see :class:`Verdict`) from which somebody may be, and is, in the plate. Measured with
``benchmarks/plate_check.py``, scenes 0 to 5 and 12 to 20: 173 clean plates reach 0.43, where the subject has
the colour of a part of the set beside an edge of it; of 160 plates with a subject, 150 have 0.5 or more."""

HOLLOW = 0.635
"""Share of its hull that the largest difference fills, below which it may be the rims of a body that sways:
the plate shows the same inside. In the same cases clean plates begin at 0.65, if no limb is held out."""

SPARSE = 0.78
"""Share of its rows, from the leftmost pixel to the rightmost, that the largest difference fills, below which
it may be rims, too. Clean plates begin at 0.80, except in one scene of 15 (0.73)."""

SPLIT = 0.66
"""The same share, below which it is two rims: a silhouette with a limb held out fills little of its hull, but
most of its rows. Plates that were built of a subject that sways fill 0.54 to 0.60, some more; clean plates
0.73 at least."""

LEAST_SILHOUETTE = 0.003
"""Least area, as a share of the picture, of a difference whose shape is measured."""

GUILTY_RIM = 1.0
"""The same along the outline of one small thing: fewer points, more chance. Clean plates of scenes 0 to 2
reach 0.87 there; plates with a small thing were not measured."""

JOINED = 31
"""Largest gap, in pixels, between pieces of the plate's outline that are joined to one body."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sight:
    """A frame and the plate registered with it.

    Attributes:
        frame: uint8 or uint16 RGB, ``(height, width, 3)``.
        plate: A picture of the same shape and type.
        valid: Mask of known pixels of the plate, ``(height, width)``; None: all.
        motion: From the plate to the frame, in pixels.
    """

    frame: Pixels
    plate: Pixels
    valid: BoolArray | None
    motion: Matrix


@dataclass(frozen=True)
class Verdict:
    """Verdict of the outlines.

    Attributes:
        answer: ``nobody``, ``somebody`` or ``unknown``.
        score: Share of the outline that is the plate's, plus the mean owner (1: the frame, -1: the plate) of
            the shifted outlines less that of the real one. 0 to 0.2 for a clean plate.
        intruder: Rough position of the person.
    """

    answer: str
    score: float
    intruder: Intruder | None = None


@dataclass(frozen=True)
class _View:
    """A reduced sight; ``valid`` is eroded."""

    frame: Float32Array
    plate: Float32Array
    valid: BoolArray
    back: Matrix


def judge_outlines(sights: Sequence[Sight]) -> Verdict:
    """Decide whether somebody is in the plate.

    Args:
        sights: At least three frames, spread over the clip.
    """
    views = [_reduce(sight) for sight in sights]
    small = find_steady_intruder([_lay_back(view) for view in views])
    votes: Float32Array | None = None
    for view in views:
        cast = _vote(view)
        votes = cast if votes is None else votes + cast
    if votes is None or np.count_nonzero(votes[0, 1]) < LEAST_POINTS:
        return Verdict("unknown" if small is None else "somebody", 0.0, small)
    score = _score(votes)
    if score >= GUILTY:
        return Verdict("somebody", score, _locate(votes[0]))
    if small is not None and _score(votes * _near(small.rim)) >= GUILTY_RIM:
        return Verdict("somebody", score, small)
    of_hull, of_rows = np.median([_measure_filling(view) for view in views], axis=0)
    if of_rows < SPLIT and score >= SUSPECT:
        return Verdict("somebody", score, _locate(votes[0]))
    unclear = of_hull < HOLLOW or of_rows < SPARSE or score >= SUSPECT
    return Verdict("unknown" if unclear else "nobody", score)


def _reduce(sight: Sight) -> _View:
    frame, plate = (
        np.asarray(cv2.GaussianBlur(reduce_picture(side, VIEW_SIDE), (0, 0), 0.8), np.float32)
        for side in (sight.frame, sight.plate)
    )
    height, width = frame.shape[:2]
    valid: BoolArray = np.ones((height, width), bool)
    if sight.valid is not None:
        small = cv2.resize(sight.valid.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        valid = cv2.erode(small, np.ones((5, 5), np.uint8), borderValue=1) > 0
    there = scale_matrix(sight.motion, width / sight.frame.shape[1], height / sight.frame.shape[0])
    # A lamp that lights one side has outlines of its own.
    light = measure_light(find_structure(plate), find_structure(frame), valid, np.zeros_like(plate))
    plate = np.minimum(relight(plate, light), HIGHLIGHT)
    return _View(np.minimum(frame, HIGHLIGHT), plate, valid, invert(there))


def _lay_back(view: _View) -> tuple[Float32Array, Float32Array, BoolArray]:
    """Warp plate, frame and mask back to the plate's position."""
    height, width = view.valid.shape
    size = (width, height)
    plate, frame = (
        np.asarray(
            cv2.warpPerspective(side, view.back, size, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32
        )
        for side in (view.plate, view.frame)
    )
    valid = cv2.warpPerspective(view.valid.astype(np.uint8), view.back, size, flags=cv2.INTER_NEAREST)
    return plate, frame, np.asarray(valid > 0)


def find_difference(frame: Float32Array, plate: Float32Array, valid: BoolArray) -> BoolArray:
    """Find differences that remain after a displacement of one pixel."""
    kernel = np.ones((3, 3), np.uint8)
    over = frame - cv2.dilate(plate, kernel)
    under = cv2.erode(plate, kernel) - frame
    apart = (np.maximum(over, under).max(axis=2) > DIFFERENT) & valid
    mask = cv2.morphologyEx(apart.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel) > 0)


def _measure_filling(view: _View) -> tuple[float, float]:
    """Shares of its hull and of its rows that the largest difference fills; 1 where nothing differs."""
    mask = find_difference(view.frame, view.plate, view.valid)
    count, groups = cv2.connectedComponents(cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)))
    largest, shares = 0.0, (1.0, 1.0)
    for group in range(1, count):
        inside = mask & (groups == group)
        size = np.count_nonzero(inside)
        hull = float(cv2.contourArea(_hull(inside))) if size > LEAST_SILHOUETTE * mask.size else 0.0
        if hull > largest:
            starts, ends = inside.argmax(axis=1), inside.shape[1] - inside[:, ::-1].argmax(axis=1)
            rows = int((ends - starts)[inside.any(axis=1)].sum())
            largest, shares = hull, (size / hull, size / rows)
    return shares


def _vote(view: _View) -> Float32Array:
    """Sum the outline's votes in the plate's position: ``(1 + shifts, 2, height, width)``.

    The two planes are weighted owners and weights; the outline comes first, then its shifts over the plate.
    """
    height, width = view.valid.shape
    votes = np.zeros((1 + len(ELSEWHERE), 2, height, width), np.float32)
    points, normals = _outline(find_difference(view.frame, view.plate, view.valid))
    sides = [points + IN * normals, points - OUT * normals]
    rows_columns = np.rint(move(view.back, points)).astype(int)[:, ::-1]
    seen = np.all((rows_columns >= 0) & (rows_columns < (height, width)), axis=1)
    for side in sides:
        seen &= np.all((side >= 0) & (side <= (width - 1, height - 1)), axis=1)
        seen &= _sample(view.valid.astype(np.float32), side)[:, 0] > 0.5
    if not seen.any():
        return votes
    rows, columns = rows_columns[seen].T
    sides = [side[seen] for side in sides]
    step = _sample(view.frame, sides[0]) - _sample(view.frame, sides[1])
    for number, shift in enumerate(((0.0, 0.0), *ELSEWHERE)):
        by = np.array(shift) * max(height, width)
        other = _sample(view.plate, sides[0] + by) - _sample(view.plate, sides[1] + by)
        apart = np.linalg.norm(step - other, axis=1)
        frame_energy, plate_energy = (step**2).sum(axis=1), (other**2).sum(axis=1)
        owner = (frame_energy - plate_energy) / (frame_energy + plate_energy + 1e-4)
        weight = np.where(apart > LEAST_STEP, np.minimum(apart, MOST_WEIGHT), 0)
        np.add.at(votes[number, 0], (rows, columns), weight * owner)
        np.add.at(votes[number, 1], (rows, columns), weight)
    return votes


def _outline(mask: BoolArray) -> tuple[Points, Points]:
    """Points ``(x, y)`` of a mask's outline and the normals that point into it."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0)
    slopes = [cv2.Sobel(soft, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1))]
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    y, x = np.nonzero(mask & ~inner)
    normals = np.stack([slope[y, x] for slope in slopes], axis=1).astype(np.float64)
    length = np.linalg.norm(normals, axis=1)
    kept = length > 1e-3
    points = np.stack([x, y], axis=1).astype(np.float64)
    return points[kept], normals[kept] / length[kept, None]


def _sample(picture: Float32Array, points: Points) -> Float32Array:
    """The picture at points ``(x, y)``, ``(points, channels)``; mirrored beyond its border."""
    if len(points) == 0:
        return np.zeros((0, 1), np.float32)
    x, y = points.astype(np.float32).T
    values = cv2.remap(picture, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(values, np.float32).reshape(len(points), -1)


def _score(votes: Float32Array) -> float:
    """The score of :class:`Verdict`."""
    shares, means = zip(*(_count(one) for one in votes), strict=True)
    return float(shares[0] + np.median(means[1:]) - means[0])


def _near(rim: BoolArray) -> Float32Array:
    return cv2.dilate(rim.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)


def _count(votes: Float32Array) -> tuple[float, float]:
    """Share of the outline owned by the plate, and the mean owner."""
    whole = max(float(votes[1].sum()), 1e-6)
    return float(votes[1][_plates_own(votes)].sum()) / whole, float(votes[0].sum()) / whole


def _plates_own(votes: Float32Array) -> BoolArray:
    """Points of the outline owned by the plate, smoothed over their neighbours."""
    owners, weights = (cv2.GaussianBlur(side, (0, 0), 3.0) for side in votes)
    return np.asarray((owners < PLATE_OWNED * weights) & (votes[1] > 0))


def _locate(votes: Float32Array) -> Intruder:
    """The hull of the largest group of the plate's own outline."""
    own = _plates_own(votes)
    count, groups = cv2.connectedComponents(
        cv2.dilate(own.astype(np.uint8), np.ones((JOINED, JOINED), np.uint8))
    )
    hulls = [_hull(own & (groups == group)) for group in range(1, count)]
    if not hulls:
        hulls = [_hull(votes[1] > 0)]
    best = max(hulls, key=cv2.contourArea)
    height, width = own.shape
    middle = best.reshape(-1, 2).mean(axis=0)
    share = float(cv2.contourArea(best)) / (height * width)
    return Intruder(share, (float(middle[0]) / width, float(middle[1]) / height), own)


def _hull(mask: BoolArray) -> npt.NDArray[np.int32]:
    y, x = np.nonzero(mask)
    return np.asarray(cv2.convexHull(np.stack([x, y], axis=1).astype(np.int32)))

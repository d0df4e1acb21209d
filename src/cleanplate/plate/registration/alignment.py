"""Registration of the plate to the frame, to a fraction of a pixel.

A tripod that was bumped moves a picture by little: points of the plate are tracked into the frame (Lucas and
Kanade 1981, pyramids after Bouguet 2000). If no common motion is found, features are matched (SIFT, Lowe
2004) at any distance, and the points are tracked from there. Last, a dense registration finds the fraction of
a pixel (:mod:`~cleanplate.plate.registration.dense`). The subject is not in the plate: its points match
nothing and are rejected. A motion is taken only if it passes every test in :func:`align`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from cleanplate.frame import AnyArray, BoolArray, ByteArray, Float32Array
from cleanplate.plate.registration.dense import DensePoints
from cleanplate.plate.registration.homography import (
    Matrix,
    Points,
    displacement,
    estimate_motion,
    grid_points,
    invert,
    is_plausible,
    move,
    normalise,
)
from cleanplate.plate.structure import Structure, correlate

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

TRACK_CELL = 24
"""Side, in pixels, of a cell; the best corner of each cell is tracked."""

TRACK_WINDOW = (21, 21)
"""Window of the optical flow; 21 pixels is the default of OpenCV."""

LEAST_CORNER = 0.004
"""Least eigenvalue of the structure tensor of detail for a corner."""

LEAST_PAIRS = 12
"""Pairs that must agree on a motion. A choice: three times the four pairs that any homography fits."""

LEAST_SHARE = 0.12
"""Share of the pairs that must agree on a motion."""

SURE_SHARE = 0.3
"""Share of all tracked points, lost ones included, from which no other motion is searched."""

LEAST_REGIONS = 4
"""Cells of a 6 x 6 grid over the picture in which pairs must agree."""

LEAST_OVERLAP = 0.5
"""Share of the frame that the moved plate must cover. A choice: half of a frame without plate is of no
use."""

LEAST_GAIN = 0.01
"""Share by which a motion must reduce the difference that identity leaves."""

LARGEST_DIFFERENCE = 0.5
"""Difference of detail from which a pixel counts as the subject's at any motion. A choice, in units of local
contrast."""

DENSE_EACH = 2
"""Points taken from each cell of the dense refinement. A choice between time and noise."""

DENSE_REACH = 0.75
"""Largest motion, in pixels, of the dense refinement: the derivative of detail holds for less than a
pixel."""

DENSE_BLOCK = 48
"""Side, in pixels, of the blocks that are held out in turn to test a refinement."""

LEAST_DENSE_GAIN = 0.01
"""Least relative reduction of the remainder in held-out blocks by the refinement."""

DETAIL_TO_BYTES = 40.0
"""Factor from detail to the bytes that OpenCV tracks: three deviations of local contrast fill 8 bits."""


@dataclass(frozen=True)
class Alignment:
    """A motion of the plate that passed the tests, or identity with the reason.

    Attributes:
        motion: From plate to frame in pixels of the reduced copies.
        moved: Whether ``motion`` is anything but identity.
        supported: Whether enough points of the plate were found in the frame, moved or not.
        reason: Reason for leaving the plate unmoved although it may not fit; empty otherwise.
    """

    motion: Matrix
    moved: bool
    supported: bool
    reason: str = ""


def align(plate: Structure, frame: Structure, tolerance: float) -> Alignment:
    """Find the motion from plate to frame.

    Args:
        plate: Structure of the plate, of the frame's size.
        frame: Structure of the frame.
        tolerance: Motion, in pixels of these copies, below which the plate counts as aligned.
    """
    identity = np.eye(3)
    points = _choose_points(plate.detail)
    if min(plate.detail.shape) < TRACK_CELL:
        return Alignment(identity, False, False, "the picture is too narrow to align it")
    if len(points) < LEAST_PAIRS:
        return Alignment(identity, False, False, "it has too little texture to align by")
    plate_bytes, frame_bytes = _as_bytes(plate.detail), _as_bytes(frame.detail)

    tracked = _track(plate_bytes, frame_bytes, points, identity)
    candidates = [tracked] if tracked is not None else []
    if tracked is None or tracked.share < SURE_SHARE:
        matched = _match_features(plate_bytes, frame_bytes)
        if matched is not None and (again := _track(plate_bytes, frame_bytes, points, matched)) is not None:
            candidates.append(again)
    if not candidates:
        return Alignment(identity, False, False, "too few of its points were found in the frame")

    best = max(candidates, key=lambda candidate: candidate.share)
    for _ in range(2):
        if displacement(best.motion, *plate.detail.shape) < tolerance:
            break
        refined = _track(plate_bytes, frame_bytes, points, best.motion)
        if refined is None or refined.share < 0.9 * best.share:
            break
        change = normalise(refined.motion @ invert(best.motion))
        best = refined
        if displacement(change, *plate.detail.shape) < tolerance / 4:
            break
    motion = _refine_densely(plate, frame, best.motion)
    if displacement(motion, *plate.detail.shape) < tolerance:
        return Alignment(identity, False, True)
    if not _is_better(plate, frame, motion):
        return Alignment(identity, False, False, "moving it would not have made it fit better")
    return Alignment(motion, True, True)


def warp(picture: AnyArray, motion: Matrix, *, interpolation: int = cv2.INTER_CUBIC) -> AnyArray:
    """Warp a picture; parts outside of it are filled from its nearest edge."""
    height, width = picture.shape[:2]
    return np.asarray(
        cv2.warpPerspective(
            picture, motion, (width, height), flags=interpolation, borderMode=cv2.BORDER_REPLICATE
        )
    )


def covered(motion: Matrix, height: int, width: int) -> BoolArray:
    """Pixels of the frame that the moved plate shows, ``(height, width)``."""
    whole = np.ones((height, width), dtype=np.uint8)
    # Nearest: a pixel counts when its centre lies on one of the plate's pixels.
    shown = cv2.warpPerspective(whole, motion, (width, height), flags=cv2.INTER_NEAREST)
    return np.asarray(shown, dtype=np.bool_)


@dataclass(frozen=True)
class _Candidate:
    motion: Matrix
    share: float


def _as_bytes(detail: Float32Array) -> ByteArray:
    return np.asarray(np.clip(detail * DETAIL_TO_BYTES + 128.5, 0, 255), dtype=np.uint8)


def _choose_points(detail: Float32Array) -> Points:
    """The best corner of each cell."""
    strength = cv2.cornerMinEigenVal(detail, 7)
    rows, columns = strength.shape[0] // TRACK_CELL, strength.shape[1] // TRACK_CELL
    if rows == 0 or columns == 0:  # narrower than a cell
        return np.empty((0, 2))
    cells = strength[: rows * TRACK_CELL, : columns * TRACK_CELL]
    cells = cells.reshape(rows, TRACK_CELL, columns, TRACK_CELL).swapaxes(1, 2).reshape(rows, columns, -1)
    best = cells.argmax(axis=2)
    y = np.arange(rows)[:, None] * TRACK_CELL + best // TRACK_CELL
    x = np.arange(columns)[None, :] * TRACK_CELL + best % TRACK_CELL
    strong = cells.max(axis=2) > LEAST_CORNER
    return np.stack([x[strong], y[strong]], axis=1).astype(np.float64)


def _track(plate: ByteArray, frame: ByteArray, points: Points, start: Matrix) -> _Candidate | None:
    """Track the plate's points into the frame, starting at the motion ``start``."""
    height, width = plate.shape
    near = np.array_equal(start, np.eye(3))
    moved_plate = plate if near else warp(plate, start, interpolation=cv2.INTER_LINEAR)
    starts = move(start, points)
    inside = np.all((starts >= 2) & (starts <= np.array([width - 3, height - 3])), axis=1)
    seeds = starts[inside].astype(np.float32)
    if len(seeds) < LEAST_PAIRS:
        return None
    levels = 3 if near else 2
    follow: Any = cv2.calcOpticalFlowPyrLK  # its stubs do not know that the fourth argument may be None
    settings = {"winSize": TRACK_WINDOW, "maxLevel": levels, "minEigThreshold": 1e-3}
    ends, found, errors = follow(moved_plate, frame, seeds, None, **settings)
    back, found_back, _ = follow(frame, moved_plate, ends, None, **settings)
    good = (found.ravel() == 1) & (found_back.ravel() == 1)
    good &= np.linalg.norm(back - seeds, axis=1) < 0.5
    good &= errors.ravel() < 0.5 * DETAIL_TO_BYTES
    if np.count_nonzero(good) < LEAST_PAIRS:
        return None
    estimate = estimate_motion(seeds[good].astype(np.float64), ends[good].astype(np.float64))
    if estimate is None:
        return None
    change, agree = estimate
    motion = normalise(change @ start)
    if not _is_supported(ends[good][agree], len(ends[good]), (height, width)):
        return None
    if not is_plausible(motion, height, width) or _overlap(motion, height, width) < LEAST_OVERLAP:
        return None
    return _Candidate(motion, float(np.count_nonzero(agree)) / len(seeds))


def _match_features(plate: ByteArray, frame: ByteArray) -> Matrix | None:
    """A motion from SIFT features, exact to a pixel or so."""
    shrink = min(1.0, 640 / max(plate.shape))
    size = (round(plate.shape[1] * shrink), round(plate.shape[0] * shrink))
    detector = cv2.SIFT.create(1500)
    sides = [
        detector.detectAndCompute(cv2.resize(side, size, interpolation=cv2.INTER_AREA), None)
        for side in (plate, frame)
    ]
    (plate_keys, plate_marks), (frame_keys, frame_marks) = sides
    if min(len(plate_keys), len(frame_keys)) < LEAST_PAIRS:
        return None
    pairs = [
        nearest[0]
        for nearest in cv2.BFMatcher(cv2.NORM_L2).knnMatch(plate_marks, frame_marks, k=2)
        if len(nearest) == 2 and nearest[0].distance < 0.8 * nearest[1].distance
    ]
    if len(pairs) < LEAST_PAIRS:
        return None
    ratio = np.array([plate.shape[1] / size[0], plate.shape[0] / size[1]])
    centre = (ratio - 1) / 2
    starts = np.array([plate_keys[pair.queryIdx].pt for pair in pairs]) * ratio + centre
    ends = np.array([frame_keys[pair.trainIdx].pt for pair in pairs]) * ratio + centre
    estimate = estimate_motion(starts, ends)
    if estimate is None:
        return None
    motion, agree = estimate
    height, width = plate.shape
    if np.count_nonzero(agree) < LEAST_PAIRS or not is_plausible(motion, height, width):
        return None
    return motion if _overlap(motion, height, width) >= LEAST_OVERLAP else None


def _refine_densely(plate: Structure, frame: Structure, start: Matrix) -> Matrix:
    """Refine the motion on all pixels of strong gradient; return ``start`` if that is no gain.

    Points are weighted by the correlation of their neighbourhoods: those of the subject have no weight.
    """
    points = DensePoints(plate.detail, plate.contrast, each=DENSE_EACH)
    height, width = frame.detail.shape
    sameness = np.clip(
        correlate(warp(plate.detail, start, interpolation=cv2.INTER_LINEAR), frame.detail), 0, 1
    )
    places = np.nan_to_num(move(start, points.points), nan=-1.0)
    columns, rows = np.rint(places).astype(int).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    trust = np.zeros(len(points), np.float32)
    trust[inside] = sameness[rows[inside], columns[inside]]
    # A motion found in one half of the blocks has to hold in the other half.
    half = points.block_parity(DENSE_BLOCK)
    tried = points.register(frame.detail, start, trust=trust * half, reach=DENSE_REACH)
    if tried is None:
        return start
    held_out = trust * ~half
    before, after = (points.judge(frame.detail, motion, trust=held_out) for motion in (start, tried.motion))
    if before is None or after is None or after.remainder > (1 - LEAST_DENSE_GAIN) * before.remainder:
        return start
    found = points.register(frame.detail, start, trust=trust, reach=DENSE_REACH)
    if (
        found is None
        or displacement(normalise(found.motion @ invert(start)), height, width) > 2 * DENSE_REACH
    ):
        return start
    return found.motion


def _is_supported(agreeing: Float32Array, pairs: int, size: tuple[int, int]) -> bool:
    """Tell whether enough pairs agree, and not all of them in one place."""
    if len(agreeing) < max(LEAST_PAIRS, LEAST_SHARE * pairs):
        return False
    height, width = size
    columns = np.clip(agreeing[:, 0] * 6 / width, 0, 5).astype(int)
    rows = np.clip(agreeing[:, 1] * 6 / height, 0, 5).astype(int)
    return len(np.unique(rows * 6 + columns)) >= LEAST_REGIONS


def _overlap(motion: Matrix, height: int, width: int) -> float:
    points = move(invert(motion), grid_points(height, width, across=21))
    inside = np.all((points >= -0.5) & (points <= np.array([width - 0.5, height - 0.5])), axis=1)
    return float(np.mean(inside))


def _is_better(plate: Structure, frame: Structure, motion: Matrix) -> bool:
    """Tell whether the moved plate differs less from the frame than the unmoved plate.

    Both are blurred first, because interpolation alone reduces noise and with it the difference.
    """
    sides = [cv2.GaussianBlur(side.detail, (0, 0), 1.0) for side in (frame, plate)]
    wanted, still = sides
    moved = warp(still, motion)
    there = covered(motion, *still.shape)
    there &= (frame.contrast > 0.01) | (plate.contrast > 0.01)
    if not np.any(there):
        return False
    before, after = (
        float(np.mean(np.minimum(np.abs(side - wanted), LARGEST_DIFFERENCE)[there]))
        for side in (still, moved)
    )
    return after < (1 - LEAST_GAIN) * before

"""Differences of two pictures of one place: sharpness, compression, edges in one only.

Each is measured where both pictures show the same thing, or on one picture alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Float32Array, Pixels
from cleanplate.plate.structure import correlate, find_structure

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

BLURS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
"""Sigmas tried, in pixels."""

SHARP_CROP = 1280
"""Sharpness is compared on the middle of larger pictures, which bounds the time."""

LEAST_EDGES = 400
"""Least pixels of edges for measuring blur. A choice: the median of fewer is unsure."""

BLOCK = 8
"""Side of the blocks that JPEG and most video codecs transform."""

DIFFERENT = 0.06
"""Difference of colour from which a pixel shows something else."""

UNSTEADY = 0.05
"""Difference of two frames from which a pixel counts as moving."""

LEAST_AREA = 0.003
"""Least area of a thing that is reported, as a share of the frame."""

EDGE_LEAD = 1.5
"""Least ratio of the plate's edges along an outline to the frames', for a thing that is on the plate."""


def measure_blur(plate: Pixels, frame: Pixels, same: BoolArray) -> float | None:
    """Measure the blur of the plate relative to the frame, as the sigma that makes them alike, in pixels.

    Args:
        plate: The plate, registered with the frame and in its light.
        frame: A picture of the same shape and type.
        same: bool ``(height, width)``: where both show the same thing.

    Returns:
        Above 0: the plate is blurrier; below 0: sharper. None where there are too few edges.
    """
    height, width = same.shape
    top, left = max(0, (height - SHARP_CROP) // 2), max(0, (width - SHARP_CROP) // 2)
    crop = slice(top, top + SHARP_CROP), slice(left, left + SHARP_CROP)
    scale = np.float32(255 / np.iinfo(plate.dtype).max)
    sides = [
        np.asarray(cv2.cvtColor(side[crop], cv2.COLOR_RGB2GRAY) * scale, np.float32)
        for side in (plate, frame)
    ]
    inner = cv2.erode(same[crop].view(np.uint8), np.ones((9, 9), np.uint8)).view(np.bool_)
    steep = _slope(_soften(sides[0], 2.0)) + _slope(_soften(sides[1], 2.0))
    inner &= steep > 6.0
    if np.count_nonzero(inner) < LEAST_EDGES:
        return None
    own, other = (_edge_energy(side, inner) for side in sides)
    if own > other:  # the plate is sharper: blur it until it is not
        return -_match_blur(sides[0], inner, other)
    return _match_blur(sides[1], inner, own)


def _match_blur(sharp: Float32Array, where: BoolArray, wanted: float) -> float:
    """The sigma at which the sharp picture's edges have the energy wanted."""
    before, last = 0.0, _edge_energy(sharp, where)
    for sigma in BLURS:
        energy = _edge_energy(_soften(sharp, sigma), where)
        if energy <= wanted:
            share = (last - wanted) / max(last - energy, 1e-9)
            return float(np.sqrt(before**2 + share * (sigma**2 - before**2)))
        before, last = sigma, energy
    return BLURS[-1]


def _edge_energy(grey: Float32Array, where: BoolArray) -> float:
    """Mean squared slope after a light blur that removes noise."""
    return float(np.mean(_slope(_soften(grey, 0.8))[where] ** 2))


def _soften(grey: Float32Array, sigma: float) -> Float32Array:
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.float32)


def _slope(grey: Float32Array) -> Float32Array:
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    # Not cv2.magnitude: its last bit depends on the address of the result.
    return np.asarray(np.sqrt(x * x + y * y), np.float32)


def measure_blocks(pixels: Pixels) -> float:
    """Measure the grid of 8 x 8 blocks: steps across it over steps beside it, 1 where there is none.

    Only smooth places are measured, in which no texture hides the steps of compression.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) * (255 / np.iinfo(pixels.dtype).max)
    ratios = []
    for picture in (grey, grey.T):
        steps = np.abs(np.diff(picture, axis=1))
        whole = (steps.shape[1] // BLOCK) * BLOCK
        by_place = steps[:, :whole].reshape(len(steps), -1, BLOCK)
        calm = by_place.max(axis=2) < 16.0
        if np.count_nonzero(calm) < 100:
            continue
        means = by_place[calm].mean(axis=0) + 0.05
        # The step from the eighth pixel to the ninth crosses the grid.
        ratios.append(float(means[BLOCK - 1] / np.median(means[1 : BLOCK - 2])))
    return max(ratios, default=1.0)


@dataclass(frozen=True)
class Intruder:
    """A thing in the plate that is missing in the frames.

    Attributes:
        share: Share of the frame's area.
        middle: ``(x, y)`` of its middle, as shares of width and height.
        rim: Its outline, bool ``(height, width)`` of the views.
    """

    share: float
    middle: tuple[float, float]
    rim: BoolArray


def find_steady_intruder(views: Sequence[tuple[Float32Array, Float32Array, BoolArray]]) -> Intruder | None:
    """Find a thing, also a small one, in the plate that is missing in the frames.

    Where most frames agree with each other and not with the plate, either a thing in the plate has gone, or a
    thing in the frames stays. The picture with the thing has edges along its outline.

    Args:
        views: Plate and frame, float32 RGB in [0, 1], both in the plate's position, and their mask of known
            pixels; at least three, spread over the clip.

    Returns:
        The largest, or None.
    """
    known = np.mean([valid for _, _, valid in views], axis=0) >= 0.9
    usual = np.median(np.stack([frame for _, frame, _ in views]), axis=0).astype(np.float32)
    plate = np.median(np.stack([plate for plate, _, _ in views]), axis=0).astype(np.float32)
    steady = np.mean([np.abs(frame - usual).max(axis=2) < UNSTEADY for _, frame, _ in views], axis=0) >= 0.5
    other = cv2.blur(np.abs(plate - usual).max(axis=2), (5, 5)) > DIFFERENT
    unlike = correlate(find_structure(plate).detail, find_structure(usual).detail) < 0.6
    candidates = (known & steady & other & unlike).astype(np.uint8)
    candidates = cv2.morphologyEx(candidates, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    candidates = cv2.morphologyEx(candidates, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, labels, areas, middles = cv2.connectedComponentsWithStats(candidates)
    height, width = candidates.shape
    slopes = [
        _slope(np.asarray(cv2.cvtColor(side, cv2.COLOR_RGB2GRAY) * 255, np.float32))
        for side in (plate, usual)
    ]
    best: Intruder | None = None
    for label in range(1, count):
        share = float(areas[label, cv2.CC_STAT_AREA]) / (height * width)
        if share < LEAST_AREA or (best is not None and share <= best.share):
            continue
        blob = (labels == label).astype(np.uint8)
        ring = (cv2.dilate(blob, np.ones((5, 5), np.uint8)) - cv2.erode(blob, np.ones((5, 5), np.uint8))) > 0
        own, theirs = (float(slope[ring].mean()) for slope in slopes)
        if own > EDGE_LEAD * theirs:
            middle = float(middles[label, 0]) / width, float(middles[label, 1]) / height
            best = Intruder(share, middle, ring)
    return best

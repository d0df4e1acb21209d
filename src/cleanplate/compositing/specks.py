"""Specks: islands and holes of alpha below an area, removed by choice.

An *island* is a connected part of visible alpha, a *hole* a connected transparent part that alpha encloses.
Strands and soft borders connect what they touch, so the tip of a strand is no island. The area of an island
is the sum of its alpha, and of a hole the sum of what is missing, in pixels of the source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from cleanplate.frame import AnyArray, BoolArray, ByteArray, Float32Array, Matte, check_array

VISIBLE = 0.05
"""Alpha from which a part counts as visible: 0.5 cuts strands at their thin places. On the sample photo, 0.02
gives 106 islands of up to 37 pixels, 0.05 89 of up to 18, 0.5 28 of up to 10."""

HALO = 8
"""Reach of the fainter border that goes with an island, in pixels: two pixels of a coarse alpha of a quarter
of the sides."""

UNSURE = 2
"""In clips, islands of up to so many times the area have to last before they are shown. Chosen, not
measured."""

LASTING = 5
"""Number of frames after which they are: a fifth of a second. Chosen, not measured."""

_STEP = 4
_REACH = np.ones((3, 3), np.uint8)
_BLOCK = np.ones((_STEP, _STEP), np.uint8)


@dataclass(frozen=True)
class Specks:
    """Specks of one alpha.

    Attributes:
        islands: Pixels whose alpha becomes 0, bool ``(height, width)``; None without any.
        holes: Pixels whose alpha becomes 1; None without any.
    """

    islands: BoolArray | None
    holes: BoolArray | None


def find_specks(alpha: Float32Array, area: float, past: SpeckMemory | None = None) -> Specks:
    """Find the islands and holes below an area.

    Args:
        alpha: float32 in [0, 1], ``(height, width)``.
        area: In pixels.
        past: Memory of the frames before, which is updated; None for a single picture.
    """
    ages = (None, None) if past is None else (past.islands, past.holes)
    islands = _find_small(alpha, area, 8, ages[0])
    filled = alpha if islands is None else np.where(islands, np.float32(0), alpha)
    return Specks(islands, _find_small(1 - filled, area, 4, ages[1]))


def remove_specks(matte: Matte, area: float) -> Matte:
    """Remove the specks of one picture; the same object if there are none."""
    return apply_specks(matte, find_specks(matte.alpha, area))


def apply_specks(matte: Matte, specks: Specks) -> Matte:
    """Make alpha 0 in islands and 1 in holes, where the foreground is then the frame."""
    alpha, foreground = matte.alpha, matte.foreground
    if specks.islands is not None:
        alpha = np.where(specks.islands, np.float32(0), alpha)
    if specks.holes is not None:
        alpha = np.where(specks.holes, np.float32(1), alpha)
        foreground = np.where(specks.holes[..., None], matte.frame.pixels, foreground)
    return matte if alpha is matte.alpha else replace(matte, alpha=alpha, foreground=foreground)


class SpeckMemory:
    """Specks through a clip: each frame is judged with those before it, so that nothing flashes.

    An island below the area is removed. One of up to twice the area is removed until it has been there for
    :data:`LASTING` frames, unless the first frame has it. Holes likewise.

    Args:
        area: In pixels of the source.
    """

    def __init__(self, area: float) -> None:
        self.islands, self.holes = _Ages(), _Ages()
        self._area = area

    def find(self, alpha: Float32Array) -> Specks:
        """Find the specks of the next frame."""
        return find_specks(alpha, self._area, self)

    def snapshot(self) -> tuple[ByteArray | None, ByteArray | None]:
        """State after the frames so far."""
        return self.islands.known, self.holes.known

    def restore(self, snapshot: tuple[ByteArray | None, ByteArray | None]) -> None:
        """Continue from a snapshot.

        Raises:
            ValueError: It is no state of specks.
        """
        for ages, known in zip((self.islands, self.holes), snapshot, strict=True):
            if known is not None:
                check_array(known, "a state of specks", np.uint8, np.shape(known))
            ages.known = known


def open_memory(area: float) -> SpeckMemory | None:
    """Memory of specks for a clip; None for an area of 0."""
    return SpeckMemory(area) if area > 0 else None


class _Ages:
    """Ages of connected parts in frames, in a map of a quarter of the sides.

    Attributes:
        known: uint8, 0 where nothing is; None before the first frame.
    """

    def __init__(self) -> None:
        self.known: ByteArray | None = None

    def judge(self, labels: AnyArray, small: BoolArray, unsure: BoolArray) -> BoolArray:
        """Decide on the parts between the area and its multiple, and remember all.

        Args:
            labels: Number of the part of each pixel, int32; 0 is none.
            small: By the number: whether the part is below the area.
            unsure: Whether it is above, and below the multiple.

        Returns:
            By the number: whether the part is removed.
        """
        size = (-(-labels.shape[0] // _STEP), -(-labels.shape[1] // _STEP))
        ages = np.where(small, 0, LASTING).astype(np.uint8)
        ages[0] = 0
        known = self.known
        if known is not None and known.shape == size:
            around = cv2.dilate(known, _REACH)  # parts move between two frames
            rows, columns = np.nonzero(unsure[labels])
            before = np.zeros_like(ages)
            np.maximum.at(before, labels[rows, columns], around[rows // _STEP, columns // _STEP])
            ages = np.where(unsure, np.minimum(before + 1, LASTING), ages).astype(np.uint8)
        shown = ages[labels]
        self.known = np.ascontiguousarray(cv2.dilate(shown, _BLOCK, anchor=(0, 0))[::_STEP, ::_STEP])
        return np.asarray(small | (unsure & (ages < LASTING)), np.bool_)


def _find_small(
    cover: Float32Array, area: float, connectivity: Literal[4, 8], ages: _Ages | None
) -> BoolArray | None:
    """Pixels of the parts of ``cover`` below the area, with their faint borders; None without any.

    Parts of 4 connections are holes: those at the border of the picture are open and stay.
    """
    visible = (cover >= VISIBLE).astype(np.uint8)
    count, labels = cv2.connectedComponents(visible, connectivity=connectivity, ltype=cv2.CV_32S)
    may_go = np.bincount(labels.ravel(), minlength=count) * VISIBLE < UNSURE * area  # the rest is larger
    may_go[0] = False
    possible = may_go[labels]
    areas = np.bincount(labels[possible], weights=cover[possible], minlength=count)
    if connectivity == 4:
        for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            may_go[np.unique(edge)] = False
    small = may_go & (areas < area)
    if ages is not None:
        small = ages.judge(labels, small, may_go & (areas >= area) & (areas < UNSURE * area))
    if not small.any():
        return None
    removed = small[labels].view(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * HALO + 1, 2 * HALO + 1))
    others = cv2.dilate(visible - removed, disc)
    return np.asarray((cv2.dilate(removed, disc) > others) | (removed > 0), np.bool_)

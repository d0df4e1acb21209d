"""Motion of the camera between pictures of one clip."""

from __future__ import annotations

from collections.abc import Sequence

from cleanplate.frame import Pixels
from cleanplate.plate.registration.alignment import align
from cleanplate.plate.registration.homography import displacement
from cleanplate.plate.structure import find_structure, reduce_picture

SIDE = 480
"""Longest side of the copies that are compared: the motions that matter are above a pixel there."""

TOLERANCE = 0.5
"""Motion, in pixels of these copies, that counts as none."""


def largest_move(pictures: Sequence[Pixels]) -> float:
    """Largest motion of the camera between some of the pictures, as a share of their width.

    The first is compared with the last, and the first, the middle and the last with a neighbour, because a
    long move leaves nothing in common. 0 where no motion is certain.
    """
    last = len(pictures) - 1
    pairs = {(0, 1), (last // 2, last // 2 + 1), (last - 1, last), (0, last)} if last > 0 else set()
    views = {
        number: find_structure(reduce_picture(pictures[number], SIDE)) for pair in pairs for number in pair
    }
    moves = [0.0]
    for first, second in pairs:
        found = align(views[first], views[second], TOLERANCE)
        if found.supported and found.moved:
            height, width = views[first].detail.shape
            moves.append(displacement(found.motion, height, width) / width)
    return max(moves)

"""Rotation of stored pictures to upright ones: EXIF's eight orientations, and the display matrix of video."""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.frame import AnyArray

UPRIGHT = 1

# The upper left 2 x 2 of a display matrix, (a, b, c, d) with x' = a x + c y and y' = b x + d y.
_ORIENTATION_OF_MATRIX = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}


def swaps_sides(orientation: int) -> bool:
    """Tell whether height and width change places."""
    return orientation >= 5


def make_upright(picture: AnyArray, orientation: int) -> AnyArray:
    """Turn and mirror ``(height, width, ...)`` by EXIF tag 274; unknown values change nothing."""
    if orientation == 2:
        return cv2.flip(picture, 1)
    if orientation == 3:
        return cv2.rotate(picture, cv2.ROTATE_180)
    if orientation == 4:
        return cv2.flip(picture, 0)
    if orientation == 5:
        return cv2.transpose(picture)
    if orientation == 6:
        return cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE)
    if orientation == 7:
        return cv2.transpose(cv2.rotate(picture, cv2.ROTATE_180))
    if orientation == 8:
        return cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return picture


def orientation_of_matrix(matrix: bytes) -> int:
    """EXIF's number for FFmpeg's display matrix: nine int32, of which the first two columns turn.

    Turns that are no multiple of 90 degrees count as none.
    """
    a, b, _, c, d = np.sign(np.frombuffer(matrix, np.int32)[:5]).tolist()
    return _ORIENTATION_OF_MATRIX.get((a, b, c, d), UPRIGHT)

"""Enlarging maps in pieces equals enlarging them whole."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.router.windows import enlarge

Maps = npt.NDArray[np.float32]


def lay_out(maps: Maps, size: tuple[int, int]) -> tuple[Maps, int]:
    """All pieces in one picture, ``(height, width, C)``, and the number of pixels that they cover."""
    picture = np.zeros((*size, len(maps)), np.float32)
    covered = np.zeros(size, int)
    for place, piece in enlarge(maps, size):
        picture[place] = piece.reshape(*piece.shape[:2], len(maps))
        covered[place] += 1
    assert covered.max() <= 1
    return picture, int(covered.sum())


def enlarge_whole(maps: Maps, size: tuple[int, int]) -> Maps:
    whole = cv2.resize(np.ascontiguousarray(maps.transpose(1, 2, 0)), size[::-1])
    return np.asarray(whole, np.float32).reshape(*size, len(maps))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(100, 120), (200, 240), (200, 360), (137, 120), (200, 250)])
@pytest.mark.parametrize(
    "part",
    [
        (slice(0, 50), slice(0, 60)),
        (slice(20, 45), slice(11, 30)),
        (slice(0, 3), slice(0, 2)),
        (slice(49, 50), slice(57, 60)),
        (slice(17, 33), slice(0, 60)),
    ],
)
def test_pieces_equal_the_whole(part: tuple[slice, slice], size: tuple[int, int], channels: int) -> None:
    maps = np.zeros((channels, 50, 60), np.float32)
    inside = maps[:, part[0], part[1]]
    inside[:] = np.random.default_rng(1).uniform(-0.4, 1, inside.shape)
    picture, covered = lay_out(maps, size)
    assert np.array_equal(picture, enlarge_whole(maps, size))
    if size[0] % 50 == 0 and size[1] % 60 == 0 and inside.size < maps.size / 4:
        assert covered < size[0] * size[1] / 2


def test_empty_maps_have_a_small_window() -> None:
    picture, covered = lay_out(np.zeros((3, 50, 60), np.float32), (200, 240))
    assert not picture.any()
    assert covered <= 16

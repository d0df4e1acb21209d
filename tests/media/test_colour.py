from __future__ import annotations

import itertools

import numpy as np
import pytest

from cleanplate.errors import OptionError
from cleanplate.frame import to_depth
from cleanplate.media.colour.bit_depth import check_layer
from cleanplate.media.colour.h273 import MATRICES, Colour, code_of
from cleanplate.media.orientation import make_upright, orientation_of_matrix, swaps_sides


def test_missing_tags_follow_from_the_size() -> None:
    assert Colour().assumed(1080, 1920) == Colour("limited", "bt709", "bt709", "bt709")
    assert Colour().assumed(1920, 1080).matrix == "bt709"
    assert Colour().assumed(480, 720) == Colour("limited", "smpte170m", "smpte170m", "smpte170m")
    assert Colour().assumed(576, 720).primaries == "bt470bg"


def test_tags_precede_the_size() -> None:
    tagged = Colour("full", "bt2020nc", "bt2020", "smpte2084")
    assert tagged.assumed(480, 640) == tagged
    assert Colour(matrix="rgb").assumed(1080, 1920).matrix == "bt709"


def test_codes_have_names() -> None:
    assert Colour.from_codes(1, 9, 9, 16) == Colour("limited", "bt2020nc", "bt2020", "smpte2084")
    assert Colour.from_codes(99, 99, 99, 99) == Colour()
    assert all(code_of(MATRICES, name) == code for code, name in MATRICES.items())


def test_white_is_the_same_at_every_depth() -> None:
    eight = np.arange(256, dtype=np.uint8)[None]
    sixteen = to_depth(eight, np.uint16)
    assert sixteen[0, -1] == 65535
    assert np.array_equal(to_depth(sixteen, np.uint8), eight)
    assert to_depth(np.full((2, 2), 129, np.uint16), np.uint8)[0, 0] == 1  # 129 / 257 is nearer to 1
    assert to_depth(eight, np.uint8) is eight


def test_wrong_layers_are_refused() -> None:
    check_layer(np.zeros((2, 2, 4), np.uint16), (4,))
    check_layer(np.zeros((2, 2), np.uint8), (1,))
    for wrong in (np.zeros((2, 2, 4)), np.zeros((2, 2, 3), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(OptionError, match=r"height, width, 4"):
            check_layer(wrong, (4,))


def test_every_display_matrix_of_right_angles_has_an_orientation() -> None:
    picture = np.arange(6).reshape(2, 3).astype(np.uint8)
    seen = set()
    for (a, b), (c, d) in itertools.product(itertools.product((-1, 0, 1), repeat=2), repeat=2):
        if a * d - b * c == 0 or (a and b) or (c and d):
            continue
        matrix = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], np.int32)
        orientation = orientation_of_matrix(matrix.tobytes())
        turned = make_upright(picture, orientation)
        # x' = a x + c y, y' = b x + d y, moved so that it starts at 0.
        y, x = np.mgrid[0:2, 0:3]
        to_x, to_y = a * x + c * y, b * x + d * y
        expected = np.zeros_like(turned)
        expected[to_y - to_y.min(), to_x - to_x.min()] = picture
        assert np.array_equal(turned, expected)
        assert swaps_sides(orientation) == (turned.shape != picture.shape)
        seen.add(orientation)
    assert seen == set(range(1, 9))


def test_oblique_matrices_are_ignored() -> None:
    matrix = np.array([46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30], np.int32)
    assert orientation_of_matrix(matrix.tobytes()) == 1

"""Cut detection: cuts are found; pans, flashes and people are not cuts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.frame import Frame, to_depth
from cleanplate.keyer.cuts import CutDetector

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def room():
    return cv2.resize(cv2.imread(str(SAMPLES / "plate.jpg"))[..., ::-1], (640, 360))


@pytest.fixture(scope="module")
def person():
    return cv2.resize(cv2.imread(str(SAMPLES / "photo.jpg"))[..., ::-1], (640, 360))


@pytest.fixture(scope="module")
def street():
    """Another place: green and blue, with other shapes."""
    picture = np.zeros((360, 640, 3), np.uint8)
    picture[:200] = (90, 150, 220)
    picture[200:] = (60, 130, 50)
    for left in range(20, 620, 90):
        cv2.rectangle(picture, (left, 60), (left + 40, 330), (40 + left // 4, 90, 40), -1)
    return picture


def cuts(*pictures):
    is_cut = CutDetector()
    return [is_cut(Frame(np.ascontiguousarray(picture))) for picture in pictures]


def test_another_place_is_a_cut_and_the_first_frame_is_none(room, street):
    assert cuts(room, room, street, street, room) == [False, False, True, False, True]


def test_a_person_entering_is_no_cut(room, person):
    assert cuts(room, person, room) == [False, False, False]


@pytest.mark.parametrize("gain", [0.4, 0.7])
def test_switched_light_is_no_cut(room, gain):
    dark = (room * gain).astype(np.uint8)
    assert cuts(room, dark, room) == [False, False, False]


def test_a_camera_that_turns_fast_is_no_cut(room):
    wide = cv2.resize(room, (900, 506))
    assert not any(cuts(*(wide[40:400, left : left + 640] for left in range(0, 260, 60))))


def test_from_black_to_a_picture_is_a_cut(room):
    assert cuts(np.zeros_like(room), room) == [False, True]


def test_sixteen_bits_and_small_frames(room, street):
    deep = [cv2.resize(to_depth(picture, np.uint16), (48, 32)) for picture in (room, street)]
    assert cuts(*deep) == [False, True]

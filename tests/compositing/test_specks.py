"""Specks: islands and holes below an area."""

from __future__ import annotations

import argparse

import cv2
import numpy as np
import pytest

from cleanplate.compositing.finish import Finish
from cleanplate.compositing.specks import LASTING, SpeckMemory, find_specks, remove_specks
from cleanplate.frame import Frame, Matte
from cleanplate.vocabulary.options import parse_area


def draw(*discs: tuple[int, int, int], height: int = 120, width: int = 200) -> np.ndarray:
    """Make an alpha of discs (x, y, radius) with soft borders."""
    alpha = np.zeros((height, width), np.float32)
    for x, y, radius in discs:
        cv2.circle(alpha, (x, y), radius, 1.0, -1)
    return cv2.GaussianBlur(alpha, (0, 0), 1.5)


SUBJECT = (60, 60, 40)


def test_an_island_goes_with_its_soft_border_and_the_subject_stays_to_the_bit() -> None:
    subject, speck = draw(SUBJECT), draw((150, 40, 5))
    assert 60 < speck.sum() < 100
    rng = np.random.default_rng(1)
    frame = Frame(rng.integers(0, 256, (*subject.shape, 3), np.uint8))
    matte = Matte(subject + speck, np.zeros_like(frame.pixels), frame)
    cleaned = remove_specks(matte, 100)
    assert np.array_equal(cleaned.alpha, subject)
    assert cleaned.foreground is matte.foreground
    assert remove_specks(matte, 60) is matte


def test_a_hole_becomes_the_frame_and_an_open_bay_stays() -> None:
    hole, bay = draw((60, 60, 5)), draw((0, 60, 5))
    subject = np.ones_like(hole)
    rng = np.random.default_rng(2)
    frame = Frame(rng.integers(0, 65536, (*hole.shape, 3), np.uint16))
    matte = Matte(subject - hole - bay, np.zeros_like(frame.pixels), frame)
    filled = Finish(despeckle=200, bleed=False)(matte)
    assert np.array_equal(filled.alpha, subject - bay)
    assert np.array_equal(filled.foreground[hole > 0.01], frame.pixels[hole > 0.01])
    assert not filled.foreground[bay > 0.5].any()


def test_a_strand_that_fades_in_between_is_no_island() -> None:
    alpha = draw(SUBJECT)
    alpha[60, 95:160] = np.where(np.arange(65) % 12 < 6, 0.9, 0.1)
    assert find_specks(alpha, 100).islands is None


def test_an_island_near_the_area_does_not_flash_in_a_clip() -> None:
    small, large = draw(SUBJECT, (150, 40, 5)), draw(SUBJECT, (150, 40, 7))
    area = 100.0  # between the two, and the larger one is below its double
    assert find_specks(small, area).islands is not None
    assert find_specks(large, area).islands is None
    memory = SpeckMemory(area)
    flickering = [memory.find(small if n % 2 else draw(SUBJECT) if n == 0 else large) for n in range(8)]
    assert [specks.islands is not None for specks in flickering] == [False] + [True] * 7
    lasting = [memory.find(large).islands is not None for _ in range(LASTING + 1)]
    assert lasting == [True] * (LASTING - 1) + [False] * 2
    other = SpeckMemory(area)
    other.restore(memory.snapshot())
    assert other.find(large).islands is None
    assert SpeckMemory(area).find(large).islands is None, "the first frame has nothing before it"


def test_areas_are_read_with_their_unit() -> None:
    assert parse_area("200px") == parse_area("200") == 200
    with pytest.raises(argparse.ArgumentTypeError, match="200px"):
        parse_area("2%")

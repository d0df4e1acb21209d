from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cleanplate.errors import InputError, PlateError
from cleanplate.frame import to_depth
from cleanplate.plate import Plate, load_plate
from cleanplate.plate.picture import match_size

SAMPLES = Path(__file__).parents[2] / "samples"


def test_an_array_and_a_plate_are_not_copied() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    plate = load_plate(pixels)
    assert plate.pixels is pixels
    assert plate.path is None
    assert load_plate(plate) is plate


def test_a_file_is_read_upright_with_its_name() -> None:
    pytest.importorskip("cleanplate.media.stills.image_reader")
    plate = load_plate(SAMPLES / "plate.jpg")
    assert plate.pixels.shape == (1080, 1920, 3)
    assert plate.name == "the plate 'plate.jpg'"


def test_an_error_names_the_missing_file() -> None:
    pytest.importorskip("cleanplate.media.stills.image_reader")
    with pytest.raises(InputError, match=r"nowhere\.jpg"):
        load_plate("nowhere.jpg")


@pytest.mark.parametrize(
    "bad", [np.zeros((40, 60), np.uint8), np.zeros((40, 60, 3)), np.zeros((8, 60, 3), np.uint8)]
)
def test_other_arrays_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="plate"):
        load_plate(bad)


def test_other_types_are_refused() -> None:
    with pytest.raises(InputError, match="got int"):
        load_plate(7)  # type: ignore[arg-type]


def test_a_plate_of_the_frames_size_and_type_keeps_its_pixels() -> None:
    plate = Plate(np.zeros((90, 160, 3), np.uint8))
    assert match_size(plate, 90, 160, np.uint8) is plate.pixels


@pytest.mark.parametrize(("height", "width"), [(180, 320), (45, 80), (91, 160)])
def test_another_size_of_the_same_aspect_is_resized(height: int, width: int) -> None:
    plate = Plate(np.full((90, 160, 3), 77, np.uint8))
    fitted = match_size(plate, height, width, np.uint16)
    assert fitted.shape == (height, width, 3)
    assert fitted.dtype == np.uint16
    assert np.all(fitted == 77 * 257)


def test_an_error_of_aspect_names_both_sizes_and_the_file() -> None:
    plate = Plate(np.zeros((480, 640, 3), np.uint8), Path("shots/empty.jpg"))
    with pytest.raises(PlateError, match=r"The plate 'empty\.jpg' is 640x480, the frame 1920x1080"):
        match_size(plate, 1080, 1920, np.uint8)


def test_a_plate_that_lies_on_its_side_is_recognised() -> None:
    with pytest.raises(PlateError, match="turn the plate by 90 degrees"):
        match_size(Plate(np.zeros((160, 90, 3), np.uint8)), 90, 160, np.uint8)


def test_depth_conversion_is_reversible() -> None:
    every = np.arange(256, dtype=np.uint8)
    deep = to_depth(every, np.uint16)
    assert deep[0] == 0
    assert deep[-1] == 65535
    assert np.array_equal(to_depth(deep, np.uint8), every)
    assert to_depth(every, np.uint8) is every


def test_depth_is_rounded_to_nearest() -> None:
    deep = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_depth(deep, np.uint8), np.rint(deep / 257).astype(np.uint8))

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.plate.photometry.exposure import apply_gain, estimate_gain, gain_stops
from cleanplate.plate.structure import Structure, find_structure, reduce_picture


def view(pixels: np.ndarray) -> Structure:
    return find_structure(reduce_picture(pixels, 480))


STOP = 2 ** (1 / 2.2)
LIGHTS = [(1.0, 1.0, 1.0), (1 / STOP,) * 3, (STOP**0.5,) * 3, (0.9, 1.0, 1.1), (0.65, 0.75, 0.85)]


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("cover", [0.0, 0.3, 0.5])
def test_the_gain_of_a_room_is_measured_beside_a_subject(
    studio: dict, light: tuple[float, ...], cover: float
) -> None:
    room = studio["room"](3)
    frame = (studio["subject"](room, cover) if cover else room) * np.array(light, np.float32)
    gain = estimate_gain(view(studio["shoot"](room)), view(studio["shoot"](frame, seed=1)))
    assert np.allclose(gain, light, rtol=0.015)


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("shirt", [(30, 30, 35), (200, 60, 50), (60, 90, 180)])
def test_the_gain_of_a_bare_wall_is_measured_beside_a_plain_shirt(
    studio: dict, light: tuple[float, ...], shirt: tuple[int, int, int]
) -> None:
    wall = np.full((270, 480, 3), (150, 140, 130), np.float32)
    frame = wall.copy()
    frame[70:, 120:400] = shirt  # 43%
    gain = estimate_gain(
        view(studio["shoot"](wall)), view(studio["shoot"](frame * np.array(light, np.float32), seed=1))
    )
    assert np.allclose(gain, light, rtol=0.02)


def test_a_channel_that_is_clipped_everywhere_follows_the_others(studio: dict) -> None:
    room = studio["room"](4) * (0.7, 0.7, 0) + (0, 0, 255)
    gain = estimate_gain(view(studio["shoot"](room)), view(studio["shoot"](room * (0.8, 0.8, 1.0), seed=1)))
    assert np.allclose(gain, 0.8, rtol=0.02)


def test_a_wall_of_another_colour_is_no_gain(studio: dict) -> None:
    red, green = (np.full((270, 480, 3), colour, np.float32) for colour in ((190, 40, 45), (30, 150, 90)))
    assert np.all(estimate_gain(view(studio["shoot"](red)), view(studio["shoot"](green))) == 1.0)


@pytest.mark.parametrize("value", [0, 255])
def test_black_or_white_pictures_give_a_gain_of_one(value: int) -> None:
    flat = view(np.full((90, 160, 3), value, np.uint8))
    assert np.all(estimate_gain(flat, flat) == 1.0)


def test_only_valid_pixels_of_the_plate_count(studio: dict) -> None:
    room = studio["room"](6)
    frame = room * 0.8
    frame[:, :400] = room[:, :400] * 1.3
    valid = np.zeros((270, 480), np.bool_)
    valid[:, 310:] = True
    gain = estimate_gain(view(studio["shoot"](room)), view(studio["shoot"](frame, seed=1)), valid)
    assert np.allclose(gain, 0.8, rtol=0.02)


def test_stops_refer_to_linear_light() -> None:
    assert gain_stops(np.ones(3)) == 0.0
    assert gain_stops(np.full(3, STOP)) == pytest.approx(1.0)
    assert gain_stops(np.full(3, 1 / STOP)) == pytest.approx(-1.0)


@given(st.lists(st.floats(0.1, 8.0), min_size=3, max_size=3), st.sampled_from([np.uint8, np.uint16]))
@settings(max_examples=40, deadline=None)
def test_a_gain_rounds_and_clips(gain: list[float], dtype: type) -> None:
    top = np.iinfo(dtype).max
    values = np.linspace(0, top, 3 * 64 * 8).astype(dtype).reshape(64, 8, 3)
    result = apply_gain(values, np.array(gain))
    exact = np.minimum(values.astype(np.float64) * gain, top)
    assert result.dtype == dtype
    assert np.abs(result - exact).max() <= 0.5 + 0.01 * (dtype == np.uint16)


def test_a_gain_of_one_keeps_the_array() -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    assert apply_gain(pixels, np.ones(3)) is pixels

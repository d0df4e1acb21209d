"""The last touch: what lies outside of the subject, and the edge itself."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.composite import over
from cleanplate.errors import OptionError
from cleanplate.finish import Finish, bleed_colour
from cleanplate.frame import Frame, Matte

TYPES = [np.uint8, np.uint16]
RED, GREEN = np.array([0.8, 0.1, 0.1]), np.array([0.0, 0.7, 0.25])


def disc(dtype: type, height: int = 120, width: int = 161) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red disc with an edge of three pixels before green: foreground as networks give it, alpha, plate."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - width * 0.4, y - height * 0.5)
    alpha = np.clip((33 - distance) / 3, 0, 1).astype(np.float32)
    trust = np.clip(alpha * 4, 0, 1)[..., None]
    top = np.iinfo(dtype).max
    foreground = np.rint((RED * trust + GREEN * (1 - trust)) * top).astype(dtype)
    plate = np.broadcast_to(np.rint(GREEN * top), foreground.shape).astype(dtype)
    return foreground, alpha, plate


@pytest.mark.parametrize("dtype", TYPES)
def test_nothing_of_the_plate_is_left_outside_and_the_subject_is_untouched(dtype: type) -> None:
    foreground, alpha, _ = disc(dtype)
    before = foreground.copy()
    bled = bleed_colour(foreground, alpha)
    top = np.iinfo(dtype).max
    assert bled.dtype == dtype
    assert np.array_equal(foreground, before)
    assert np.array_equal(bled[alpha >= 0.36], foreground[alpha >= 0.36])
    outside = alpha < 0.05
    assert outside.sum() > 10_000
    assert np.abs(bled[outside] / top - RED).max() < 0.03, "red up to the corners"
    assert np.abs(foreground[outside] / top - RED).max() > 0.5
    assert np.array_equal(bled, bleed_colour(foreground, alpha))


def test_the_colour_outside_is_that_of_the_nearest_edge() -> None:
    foreground = np.zeros((96, 160, 3), np.uint8)
    foreground[:, :80], foreground[:, 80:] = (200, 30, 30), (30, 30, 200)
    alpha = np.zeros((96, 160), np.float32)
    alpha[40:60, 40:120] = 1
    bled = bleed_colour(np.where(alpha[..., None] > 0, foreground, (0, 255, 0)).astype(np.uint8), alpha)
    for row in (30, 36, 63, 70):
        assert np.abs(bled[row, 50].astype(int) - (200, 30, 30)).max() < 50
        assert np.abs(bled[row, 110].astype(int) - (30, 30, 200)).max() < 50


def test_scaling_a_bled_cutout_shows_no_fringe() -> None:
    foreground, alpha, _ = disc(np.uint8)
    white = np.full((30, 40, 3), 255, np.uint8)

    def shrink_and_lay_over(colour: np.ndarray) -> np.ndarray:
        # As an editor does that scales straight colour and alpha apart.
        small = cv2.resize(colour, (40, 30), interpolation=cv2.INTER_AREA)
        return over(small, cv2.resize(alpha, (40, 30), interpolation=cv2.INTER_AREA), white).astype(int)

    true = np.broadcast_to(np.rint(RED * 255), foreground.shape).astype(np.uint8)
    wanted = shrink_and_lay_over(true)
    assert np.abs(shrink_and_lay_over(foreground) - wanted).max() > 20
    assert np.abs(shrink_and_lay_over(bleed_colour(foreground, alpha)) - wanted).max() < 10


@pytest.mark.parametrize("dtype", TYPES)
def test_despill_takes_the_plate_off_the_edge_and_nothing_else(dtype: type) -> None:
    _, alpha, plate = disc(dtype)
    top = np.iinfo(dtype).max
    stripes = np.where(np.arange(161)[None, :, None] % 8 < 4, RED, RED * 0.7) * np.ones((120, 1, 1))
    spilled = stripes * alpha[..., None] + GREEN * (1 - alpha[..., None])
    foreground = np.rint(spilled * top).astype(dtype)
    edge = (alpha > 0.36) & (alpha < 0.9)

    def green_left(despill: float) -> float:
        return float(np.mean(bleed_colour(foreground, alpha, plate, despill)[edge][:, 1]) / top)

    assert green_left(0) > green_left(0.5) > green_left(1)
    assert green_left(0) > 0.25
    assert green_left(1) < 0.15, "the subject has 0.085"
    solid = alpha == 1
    cleaned = bleed_colour(foreground, alpha, plate, 1.0)
    assert np.array_equal(cleaned[solid], foreground[solid])
    assert np.array_equal(bleed_colour(foreground, alpha, None, 1.0), bleed_colour(foreground, alpha))


def test_despill_leaves_colours_that_do_not_lean_towards_the_plate() -> None:
    _, alpha, plate = disc(np.uint8)
    random = np.random.default_rng(3)
    blue = RED + np.array([0, 0, 0.5]) * (random.random((120, 161, 1)) < 0.5)
    blue -= 0.2 * (GREEN - RED)
    foreground = np.rint(np.clip(blue, 0, 1) * 255).astype(np.uint8)
    cleaned = bleed_colour(foreground, alpha, plate, 1.0).astype(int)
    edge = (alpha > 0.36) & (alpha < 0.99)
    assert np.abs(cleaned - foreground)[edge].mean() < 6


@pytest.mark.parametrize("amount", [-0.1, 1.5, float("nan")])
def test_an_absurd_amount_is_refused(amount: float) -> None:
    with pytest.raises(OptionError, match="despill from 0 to 1"):
        Finish(despill=amount)


@pytest.mark.parametrize("dtype", TYPES)
def test_an_empty_picture_is_black_and_a_full_one_itself(dtype: type) -> None:
    foreground = np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, (40, 50, 3), dtype=dtype)
    assert bleed_colour(foreground, np.zeros((40, 50), np.float32)).max() == 0
    assert np.array_equal(bleed_colour(foreground, np.ones((40, 50), np.float32)), foreground)


@given(st.integers(32, 97), st.integers(32, 97), st.integers(0, 2**32 - 1), st.sampled_from(TYPES))
@settings(max_examples=30, deadline=None)
def test_bleeding_works_for_every_size_and_stays_among_the_colours(
    height: int, width: int, seed: int, dtype: type
) -> None:
    random = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    foreground = random.integers(top // 4, top // 2, (height, width, 3), dtype=dtype)
    alpha = (random.random((height, width), np.float32) < 0.1).astype(np.float32)
    alpha[0, 0] = 1
    bled = bleed_colour(foreground, alpha)
    assert bled.shape == foreground.shape
    assert bled.min() >= top // 4 - top // 60
    assert bled.max() <= top // 2 + top // 60


def test_a_kept_shadow_is_black_and_the_subject_does_not_bleed_into_it() -> None:
    foreground, alpha, plate = disc(np.uint8)
    shadow = np.zeros_like(alpha)
    shadow[100:115, 20:140] = 0.2
    finished = Finish(keep_shadow=True)(Matte(alpha, foreground, Frame(plate), shadow))
    assert finished.shadow is None
    assert finished.alpha[105, 60] == pytest.approx(0.2)
    assert finished.foreground[105, 60].max() == 0
    assert np.abs(finished.foreground[60, 140] / 255 - RED).max() < 0.03
    plain = Finish()(Matte(alpha, foreground, Frame(plate), shadow))
    assert plain.alpha is alpha
    assert plain.shadow is shadow

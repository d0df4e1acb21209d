"""The finish: colour outside of the subject, and the edge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.compositing.finish import Finish, bend_alpha, bleed_colour, blur_alpha, choke_alpha
from cleanplate.compositing.over import over
from cleanplate.errors import OptionError
from cleanplate.frame import Frame, Matte, to_depth

TYPES = [np.uint8, np.uint16]
RED, GREEN = np.array([0.8, 0.1, 0.1]), np.array([0.0, 0.7, 0.25])


def disc(dtype: type, height: int = 120, width: int = 161) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a red disc with a soft edge on green: foreground of a network, alpha, plate."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - width * 0.4, y - height * 0.5)
    alpha = np.clip((33 - distance) / 3, 0, 1).astype(np.float32)
    trust = np.clip(alpha * 4, 0, 1)[..., None]
    top = np.iinfo(dtype).max
    foreground = np.rint((RED * trust + GREEN * (1 - trust)) * top).astype(dtype)
    plate = np.broadcast_to(np.rint(GREEN * top), foreground.shape).astype(dtype)
    return foreground, alpha, plate


@pytest.mark.parametrize("dtype", TYPES)
def test_bleeding_replaces_the_plate_and_keeps_the_subject(dtype: type) -> None:
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
        # Like an editor that scales straight colour and alpha separately.
        small = cv2.resize(colour, (40, 30), interpolation=cv2.INTER_AREA)
        return over(small, cv2.resize(alpha, (40, 30), interpolation=cv2.INTER_AREA), white).astype(int)

    true = np.broadcast_to(np.rint(RED * 255), foreground.shape).astype(np.uint8)
    wanted = shrink_and_lay_over(true)
    assert np.abs(shrink_and_lay_over(foreground) - wanted).max() > 20
    assert np.abs(shrink_and_lay_over(bleed_colour(foreground, alpha)) - wanted).max() < 10


@pytest.mark.parametrize("dtype", TYPES)
def test_despill_removes_the_plate_from_edges_only(dtype: type) -> None:
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


def test_despill_keeps_colours_away_from_the_plate() -> None:
    _, alpha, plate = disc(np.uint8)
    random = np.random.default_rng(3)
    blue = RED + np.array([0, 0, 0.5]) * (random.random((120, 161, 1)) < 0.5)
    blue -= 0.2 * (GREEN - RED)
    foreground = np.rint(np.clip(blue, 0, 1) * 255).astype(np.uint8)
    cleaned = bleed_colour(foreground, alpha, plate, 1.0).astype(int)
    edge = (alpha > 0.36) & (alpha < 0.99)
    assert np.abs(cleaned - foreground)[edge].mean() < 6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"despill": -0.1}, "despill from 0 to 1, got -0.1"),
        ({"despill": float("nan")}, "got nan"),
        ({"choke_pixels": -65}, "choke from -64 to 64"),
        ({"blur_pixels": -1}, "blur from 0 to 64"),
        ({"gamma": 0}, "gamma from 0.1 to 10"),
    ],
)
def test_amounts_out_of_range_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Finish(**wrong)


@pytest.mark.parametrize("pixels", [-3.5, -1, -0.4, 0.25, 0.5, 1, 1.75, 4])
def test_choking_moves_a_straight_edge_by_parts_of_a_pixel(pixels: float) -> None:
    ramp = np.clip((np.arange(80) - 30) / 6, 0, 1).astype(np.float32)
    alpha = np.tile(ramp, (40, 1))
    moved = choke_alpha(alpha, pixels)
    assert moved.dtype == np.float32
    # The area under the ramp gives the position of the edge.
    assert (alpha - moved).sum(axis=1) == pytest.approx(np.full(40, pixels), abs=1e-3)


def test_choking_is_isotropic_and_keeps_the_border() -> None:
    _, alpha, _ = disc(np.uint8, 120, 120)
    for pixels in (-4.0, 1.5, 5.5):
        moved = choke_alpha(alpha, pixels)
        assert np.sqrt(moved.sum() / np.pi) == pytest.approx(np.sqrt(alpha.sum() / np.pi) - pixels, abs=0.35)
    assert choke_alpha(np.ones((40, 40), np.float32), 3.5).min() == 1
    assert blur_alpha(np.ones((40, 40), np.float32), 3.5).min() == pytest.approx(1)


def test_gamma_changes_translucent_pixels_only() -> None:
    alpha = np.array([[0, 0.25, 1]], np.float32)
    assert bend_alpha(alpha, 2.0) == pytest.approx(np.array([[0, 0.5, 1]]))
    assert bend_alpha(alpha, 0.5) == pytest.approx(np.array([[0, 0.0625, 1]]))


def test_the_default_finish_keeps_alpha_and_a_grown_matte_shows_no_plate() -> None:
    foreground, alpha, plate = disc(np.uint8)
    matte = Matte(alpha, foreground, Frame(plate), plate=plate)
    assert Finish()(matte).alpha is alpha
    grown = Finish(choke_pixels=-6, blur_pixels=2, gamma=1.5)(matte)
    assert grown.alpha.sum() > 1.2 * alpha.sum()
    white = np.full_like(plate, 255)
    seen = over(grown.foreground, grown.alpha, white)[(alpha < 0.2) & (grown.alpha > 0.1)].astype(int)
    assert np.all(seen[:, 0] >= seen[:, 1]), "red on white is never greener than red"


@pytest.mark.parametrize(
    ("finish", "spreads"),
    [
        (Finish(bleed=False), False),
        (Finish(bleed=False, choke_pixels=1, gamma=0.8), False),
        (Finish(bleed=False, choke_pixels=-1), True),
        (Finish(bleed=False, blur_pixels=1), True),
        (Finish(bleed=False, gamma=1.2), True),
        (Finish(bleed=False, despill=0.5), True),
        (Finish(), True),
    ],
)
def test_colour_bleeds_for_layers_that_show_it(finish: Finish, spreads: bool) -> None:
    frame = Frame(np.full((64, 64, 3), 90, np.uint8))
    alpha = np.zeros((64, 64), np.float32)
    alpha[16:48, 16:48] = 1
    colour = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    finished = finish(Matte(alpha, colour, frame, plate=frame.pixels))
    assert (finished.foreground is not colour) == spreads
    assert np.array_equal(finished.foreground[alpha == 1], colour[alpha == 1])
    assert np.array_equal(finished.foreground[:8], colour[:8]) != spreads


@pytest.mark.parametrize("dtype", TYPES)
def test_bleeding_an_empty_picture_gives_black_and_a_full_one_is_unchanged(dtype: type) -> None:
    foreground = np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, (40, 50, 3), dtype=dtype)
    assert bleed_colour(foreground, np.zeros((40, 50), np.float32)).max() == 0
    assert np.array_equal(bleed_colour(foreground, np.ones((40, 50), np.float32)), foreground)


@given(st.integers(32, 97), st.integers(32, 97), st.integers(0, 2**32 - 1), st.sampled_from(TYPES))
@settings(max_examples=30, deadline=None)
def test_bleeding_of_every_size_stays_within_the_range_of_colours(
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


def bleed_everywhere(foreground: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Bleed the whole picture at once; bleed_colour does so inside of a box."""
    dtype, top = foreground.dtype, np.iinfo(foreground.dtype).max

    def ramp(low: float, high: float) -> np.ndarray:
        steps = np.rint(np.clip((np.linspace(0, 1, 256) - low) / (high - low), 0, 1) * top).astype(dtype)
        return cv2.LUT(cv2.convertScaleAbs(alpha, alpha=255.0), steps)

    def multiply(colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return cv2.multiply(colour, cv2.merge([weight] * 3), scale=1 / top)

    def halve(picture: np.ndarray) -> np.ndarray:
        size = (-(-picture.shape[1] // 2), -(-picture.shape[0] // 2))
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

    def quarter(picture: np.ndarray) -> np.ndarray:
        bands = (picture[first : first + 64] for first in range(0, len(picture), 64))
        return np.concatenate([halve(to_depth(halve(band), np.uint16)) for band in bands]).astype(np.float32)

    def fill(colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
        own = colour / np.maximum(weight, np.float32(1e-6))[..., None]
        if weight.size == 1:
            return own
        half = halve(weight)
        half = half.reshape(-(-weight.shape[0] // 2), -(-weight.shape[1] // 2))
        coarser = fill(halve(colour).reshape(*half.shape, 3), half)
        around = cv2.resize(coarser, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        around = around.reshape(colour.shape)
        share = np.minimum(weight / np.float32(65535 * 0.25), np.float32(1))[..., None]
        return around + (own - around) * share

    subject, kept = ramp(0.5, 0.9), ramp(0.05, 0.35)
    filled = fill(quarter(multiply(foreground, subject)), quarter(subject))
    small = np.clip(np.rint(filled * np.float32(top)), 0, top).astype(dtype)
    spread = cv2.resize(small, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.add(multiply(foreground, kept), multiply(spread, cv2.bitwise_not(kept)))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("size", "top", "left", "height", "width"),
    [
        ((216, 320), 70, 101, 61, 93),
        ((216, 320), 0, 0, 5, 7),
        ((216, 320), 211, 313, 5, 7),
        ((200, 323), 40, 250, 100, 73),
        ((139, 157), 0, 60, 139, 40),
        ((64, 64), 0, 0, 64, 64),
    ],
)
def test_bleeding_within_the_box_of_the_subject_equals_bleeding_everywhere(
    size: tuple[int, int], top: int, left: int, height: int, width: int, dtype: type
) -> None:
    random = np.random.default_rng(5)
    foreground = random.integers(0, np.iinfo(dtype).max, (*size, 3), dtype, endpoint=True)
    alpha = np.zeros(size, np.float32)
    inside = cv2.GaussianBlur(random.random((height, width), np.float32), (0, 0), 3)
    alpha[top : top + height, left : left + width] = np.clip((inside - 0.4) * 5, 0.01, 1)
    bled = bleed_colour(foreground, alpha).astype(int)
    difference = np.abs(bled - bleed_everywhere(foreground, alpha))
    assert difference.max() <= 1, "the order of a sum of floats"
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("dtype", TYPES)
def test_without_a_subject_there_is_no_colour(dtype: type) -> None:
    foreground, alpha, plate = disc(dtype)
    assert not bleed_colour(foreground, np.zeros_like(alpha)).any()
    assert not bleed_colour(foreground, np.zeros_like(alpha), plate, 1.0).any()

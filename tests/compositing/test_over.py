from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.compositing.over import (
    alpha_picture,
    coarse_hint,
    fold_shadow,
    over,
    premultiply,
    shadow_picture,
    straight_rgba,
)
from cleanplate.compositing.still_backdrops import (
    BlurBackdrop,
    ColourBackdrop,
    PictureBackdrop,
    fill_frame,
    parse_colour,
)
from cleanplate.errors import InputError, OptionError
from cleanplate.frame import Frame, Matte, to_depth
from cleanplate.media.colour.transfer import decode, encode

TYPES = [np.uint8, np.uint16]


def layers(
    dtype: type, seed: int = 0, height: int = 48, width: int = 70
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Foreground, alpha with a hard core, a soft rim and empty surroundings, backdrop."""
    random = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    foreground, backdrop = random.integers(0, top + 1, (2, height, width, 3), dtype=dtype)
    y, x = np.mgrid[:height, :width]
    alpha = np.clip((18 - np.hypot(x - width * 0.6, y - height * 0.5)) / 9, 0, 1).astype(np.float32)
    return foreground, alpha, backdrop


def mix_slowly(foreground: np.ndarray, alpha: np.ndarray, backdrop: np.ndarray) -> np.ndarray:
    weight = alpha.astype(np.float64)[..., None]
    return foreground * weight + backdrop * (1 - weight)


@pytest.mark.parametrize("dtype", TYPES)
def test_over_equals_its_equation_rounded(dtype: type) -> None:
    foreground, alpha, backdrop = layers(dtype)
    result = over(foreground, alpha, backdrop)
    assert result.dtype == dtype
    assert np.abs(result - mix_slowly(foreground, alpha, backdrop)).max() <= 0.51


@given(st.integers(0, 2**32 - 1), st.sampled_from(TYPES), st.booleans(), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_over_keeps_opaque_and_empty_pixels(
    seed: int, dtype: type, linear_light: bool, solid: float, empty: float
) -> None:
    random = np.random.default_rng(seed)
    foreground, backdrop = random.integers(0, np.iinfo(dtype).max + 1, (2, 9, 14, 3), dtype=dtype)
    alpha = random.random((9, 14), dtype=np.float32)
    alpha[random.random((9, 14)) < solid] = 1
    alpha[random.random((9, 14)) < empty] = 0
    untouched = backdrop.copy()
    result = over(foreground, alpha, backdrop, linear_light=linear_light)
    assert np.array_equal(result[alpha == 1], foreground[alpha == 1])
    assert np.array_equal(result[alpha == 0], backdrop[alpha == 0])
    assert np.array_equal(backdrop, untouched)
    low, high = np.minimum(foreground, backdrop), np.maximum(foreground, backdrop)
    assert np.all((result >= low) & (result <= high))


@given(st.integers(0, 2**32 - 1), st.sampled_from(TYPES), st.sampled_from([0.2, 1.0, 5.0, 40.0]))
@settings(max_examples=60, deadline=None)
def test_over_equals_mixing_every_pixel(seed: int, dtype: type, contrast: float) -> None:
    random = np.random.default_rng(seed)
    foreground, backdrop = random.integers(0, np.iinfo(dtype).max + 1, (2, 40, 53, 3), dtype=dtype)
    alpha = np.clip((random.random((40, 53)) - 0.5) * contrast + 0.5, 0, 1).astype(np.float32)
    # The floats next to 1, and the values where rounding changes.
    alpha[0, :6] = np.nextafter(np.float32([0, 1, 0.5 / 255, 254.5 / 255, 0.5 / 65535, 1]), np.float32(0.5))
    if dtype == np.uint8:
        expected = cv2.blendLinear(foreground, backdrop, alpha, 1 - alpha)
    else:
        expected = np.rint(foreground * alpha[..., None] + backdrop * (1 - alpha)[..., None]).astype(dtype)
    assert np.array_equal(over(foreground, alpha, backdrop), expected)


def test_without_a_subject_the_backdrop_is_copied() -> None:
    foreground, alpha, backdrop = layers(np.uint8)
    result = over(foreground, np.zeros_like(alpha), backdrop)
    assert np.array_equal(result, backdrop)
    assert not np.shares_memory(result, backdrop)


@pytest.mark.parametrize("dtype", TYPES)
def test_linear_light_mixes_light(dtype: type) -> None:
    top = np.iinfo(dtype).max
    white, black = np.full((32, 32, 3), top, dtype), np.zeros((32, 32, 3), dtype)
    half = np.full((32, 32), 0.5, np.float32)
    result = over(white, half, black, linear_light=True)
    # Half of the light of white is 188 of 255 in sRGB.
    assert result[0, 0, 0] / top == pytest.approx(187.516 / 255, abs=0.6 / top)


@pytest.mark.parametrize("transfer", ["bt709", "smpte2084", "arib-std-b67", "linear"])
@pytest.mark.parametrize("dtype", TYPES)
def test_linear_light_follows_the_transfer(dtype: type, transfer: str) -> None:
    foreground, alpha, backdrop = layers(dtype)
    result = over(foreground, alpha, backdrop, linear_light=True, transfer=transfer)
    light = mix_slowly(decode(foreground, transfer), alpha, decode(backdrop, transfer))
    wanted = encode(light, transfer, dtype)
    # Single precision against double: half a step may fall on either side.
    assert np.abs(result.astype(int) - wanted).max() <= 1
    assert np.mean(result != wanted) < 0.01


def test_a_shadow_folded_as_light_darkens_light() -> None:
    foreground, alpha, backdrop = layers(np.uint16)
    alpha *= 0.5
    shadow = np.full(alpha.shape, 0.3, np.float32)
    matte = Matte(alpha, foreground, Frame(foreground), shadow)
    folded = fold_shadow(matte, "gamma22")
    got = over(folded.foreground, folded.alpha, backdrop, linear_light=True, transfer="gamma22")
    rest = (1 - alpha[..., None].astype(np.float64)) * 0.7**2.2
    light = decode(foreground, "gamma22") * alpha[..., None] + decode(backdrop, "gamma22") * rest
    # Codes of the foreground were rounded on the way.
    assert np.abs(decode(got, "gamma22") - light).max() < 1e-4


def test_a_backdrop_is_scaled_in_linear_light_on_request() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    frame = Frame(np.zeros((32, 32, 3), np.uint8))
    assert np.all(PictureBackdrop(stripes)(frame) == 128)
    assert np.all(PictureBackdrop(stripes, "iec61966-2-1")(frame) == 188)
    middle = BlurBackdrop(stripes, 0.1, "iec61966-2-1")(Frame(np.zeros((64, 64, 3), np.uint8)))[32, 32]
    assert np.all(np.abs(middle.astype(int) - 188) <= 3)


@pytest.mark.parametrize(
    "which", ["backdrop size", "backdrop type", "alpha size", "alpha type", "foreground"]
)
def test_layers_of_different_sizes_or_types_are_refused(which: str) -> None:
    foreground, alpha, backdrop = layers(np.uint8)
    wrong = {
        "backdrop size": (foreground, alpha, backdrop[:-1]),
        "backdrop type": (foreground, alpha, backdrop.astype(np.uint16)),
        "alpha size": (foreground, alpha[:-1], backdrop),
        "alpha type": (foreground, alpha.astype(np.float64), backdrop),
        "foreground": (foreground[..., 0], alpha, backdrop),
    }
    with pytest.raises(InputError, match="Expected"):
        over(*wrong[which])


@pytest.mark.parametrize("dtype", TYPES)
def test_the_cutout_is_straight_and_its_alpha_rounded(dtype: type) -> None:
    foreground, alpha, backdrop = layers(dtype)
    matte = Matte(alpha, foreground, Frame(backdrop))
    rgba = straight_rgba(matte)
    top = np.iinfo(dtype).max
    assert rgba.dtype == dtype
    assert rgba.flags.c_contiguous
    assert np.array_equal(rgba[..., :3], foreground)
    assert np.array_equal(rgba[..., 3], alpha_picture(matte))
    assert np.abs(rgba[..., 3] - alpha.astype(np.float64) * top).max() <= 0.5 + 1e-2
    assert (rgba[..., 3].min(), rgba[..., 3].max()) == (0, top)


@pytest.mark.parametrize("dtype", TYPES)
def test_premultiplied_values_are_rounded(dtype: type) -> None:
    foreground, alpha, backdrop = layers(dtype)
    straight = straight_rgba(Matte(alpha, foreground, Frame(backdrop)))
    top = np.iinfo(dtype).max
    multiplied = premultiply(straight)
    exact = straight[..., :3].astype(np.float64) * straight[..., 3:] / top
    assert np.abs(multiplied[..., :3] - exact).max() <= 0.5


def test_premultiplying_needs_rgba() -> None:
    with pytest.raises(InputError, match="RGBA"):
        premultiply(np.zeros((32, 32, 3), np.uint8))


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#00b140", (0, 177, 64)),
        ("#FFF", (255, 255, 255)),
        (" white ", (255, 255, 255)),
        ("Green", (0, 128, 0)),
        ("rgb(1, 2, 3)", (1, 2, 3)),
    ],
)
def test_colours_are_parsed(text: str, colour: tuple[int, int, int]) -> None:
    assert parse_colour(text) == colour


@pytest.mark.parametrize("text", ["", "#12", "#11223344", "greenish", "rgba(1, 2, 3, 4)"])
def test_other_text_is_no_colour(text: str) -> None:
    with pytest.raises(OptionError, match=r"is not a colour"):
        parse_colour(text)


def frame_of(dtype: type, height: int = 90, width: int = 160) -> Frame:
    return Frame(np.zeros((height, width, 3), dtype), time_base=Fraction(1, 25))


BACKDROPS = {
    "colour": lambda: ColourBackdrop((0, 177, 64)),
    "picture": lambda: PictureBackdrop(layers(np.uint8)[0]),
    "deep picture": lambda: PictureBackdrop(layers(np.uint16)[0]),
    "blur": lambda: BlurBackdrop(layers(np.uint8)[0]),
}


@pytest.mark.parametrize("name", BACKDROPS)
def test_a_backdrop_has_size_and_type_of_each_frame(name: str) -> None:
    backdrop = BACKDROPS[name]()
    for frame in (frame_of(np.uint8), frame_of(np.uint16), frame_of(np.uint8, 100, 64)):
        pixels = backdrop(frame)
        assert pixels.shape == frame.pixels.shape
        assert pixels.dtype == frame.pixels.dtype
        assert pixels.flags.c_contiguous
        assert backdrop(frame) is pixels, "rendered once per size"
        over(frame.pixels, np.full(pixels.shape[:2], 0.5, np.float32), pixels)
    backdrop.close()


def test_a_colour_is_the_same_in_8_and_16_bits() -> None:
    backdrop = ColourBackdrop((0, 177, 64))
    assert np.all(backdrop(frame_of(np.uint8)) == (0, 177, 64))
    assert np.all(backdrop(frame_of(np.uint16)) == (0, 177 * 257, 64 * 257))


def test_a_backdrop_of_the_right_size_is_copied() -> None:
    picture = np.zeros((90, 160, 3), np.uint8)
    pixels = PictureBackdrop(picture)(frame_of(np.uint8))
    assert not np.shares_memory(pixels, picture)
    assert picture.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


def test_cropping_to_fill_keeps_the_middle_and_the_proportions() -> None:
    wide = np.zeros((100, 400, 3), np.uint8)
    wide[:, 150:250] = 200
    filled = fill_frame(wide, 50, 50)
    assert filled.shape == (50, 50, 3)
    assert np.all(filled == 200)
    assert fill_frame(wide, 100, 400) is not None
    assert np.shares_memory(fill_frame(wide, 100, 100), wide)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_cropping_to_fill_works_for_every_size(
    height: int, width: int, to_height: int, to_width: int
) -> None:
    filled = fill_frame(np.full((height, width, 3), 9, np.uint16), to_height, to_width)
    assert filled.shape == (to_height, to_width, 3)
    assert np.all(filled == 9)


@pytest.mark.parametrize("height", [60, 240])
def test_a_blurred_plate_is_smooth_keeps_its_light_and_looks_alike_at_every_size(height: int) -> None:
    plate = layers(np.uint8, height=240, width=400)[0]
    plate[:, 200:] //= 4
    pixels = BlurBackdrop(plate, radius=0.1)(frame_of(np.uint8, height, height * 5 // 3)).astype(float)
    assert pixels.mean() == pytest.approx(plate.mean(), abs=1)
    ramp = pixels.mean(axis=(0, 2))
    # The step is spread over the same share of the width: from 16 to 84% within two deviations.
    share = np.mean((ramp > ramp.min() + 0.16 * np.ptp(ramp)) & (ramp < ramp.max() - 0.16 * np.ptp(ramp)))
    assert share == pytest.approx(2 * 0.1 * 3 / 5, abs=0.035)


@pytest.mark.parametrize("radius", [0, -1, 2, float("nan")])
def test_a_blur_out_of_range_is_refused(radius: float) -> None:
    with pytest.raises(OptionError, match="radius"):
        BlurBackdrop(np.zeros((40, 40, 3), np.uint8), radius)


def test_a_backdrop_picture_must_be_a_picture() -> None:
    with pytest.raises(InputError, match="backdrop"):
        PictureBackdrop(np.zeros((40, 40), np.uint8))


def test_depth_is_rounded_to_nearest() -> None:
    deep = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_depth(deep, np.uint8), np.rint(deep / 257).astype(np.uint8))
    assert np.array_equal(to_depth(to_depth(deep, np.uint8), np.uint16) % 257, np.zeros(65536))


def test_a_folded_shadow_darkens_like_one_that_is_multiplied():
    random = np.random.default_rng(4)
    pixels = random.integers(0, 256, (40, 50, 3), np.uint8)
    alpha, shadow = (random.random((40, 50), np.float32) for _ in range(2))
    matte = Matte(alpha, pixels, Frame(pixels), shadow)
    backdrop = random.integers(0, 256, (40, 50, 3), np.uint8)
    folded = fold_shadow(matte)
    assert folded.shadow is None
    multiplied = np.rint(backdrop * (shadow_picture(matte)[..., None] / 255)).astype(np.uint8)
    wanted = over(pixels, alpha, multiplied).astype(int)
    assert np.abs(over(folded.foreground, folded.alpha, backdrop) - wanted).max() <= 2
    plain = Matte(alpha, pixels, Frame(pixels))
    assert fold_shadow(plain) is plain
    assert shadow_picture(plain).min() == 255


def test_a_coarse_hint_is_shrunk_and_soft() -> None:
    alpha = np.zeros((200, 300), np.float32)
    alpha[40:160, 60:240] = 1
    hint = coarse_hint(alpha)
    assert hint.dtype == np.float32
    assert hint[100, 150] == 1
    assert hint[alpha == 0].max() < 0.05
    assert 0 < hint[100, 61] < 0.5
    assert np.abs(np.diff(hint[100])).max() < 0.7

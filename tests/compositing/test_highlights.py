from __future__ import annotations

import numpy as np

from cleanplate.compositing.highlights import light_of_foreground
from cleanplate.frame import Frame
from cleanplate.media.colour.transfer import SRGB, decode, encode


def make_frame() -> Frame:
    light = np.random.default_rng(3).uniform(-0.2, 4, (40, 48, 3)).astype(np.float32)
    return Frame(encode(light, SRGB, np.uint16), light=light)


def test_frames_of_code_values_have_no_highlights() -> None:
    pixels = np.zeros((32, 32, 3), np.uint16)
    assert light_of_foreground(pixels, np.ones((32, 32), np.float32), Frame(pixels)) is None


def test_an_unchanged_colour_equals_the_source_to_the_bit() -> None:
    frame = make_frame()
    light = light_of_foreground(frame.pixels.copy(), np.full((40, 48), 0.5, np.float32), frame)
    assert light is not None
    assert np.array_equal(light.view(np.uint32), frame.light.view(np.uint32))


def test_opaque_pixels_keep_the_source_s_light() -> None:
    frame = make_frame()
    alpha = np.zeros((40, 48), np.float32)
    alpha[:20] = 1
    light = light_of_foreground(np.full_like(frame.pixels, 30000), alpha, frame)
    assert light is not None
    assert np.array_equal(light[:20].view(np.uint32), frame.light[:20].view(np.uint32))
    # Below, it is the network's colour, without highlights of the background.
    far = np.abs(frame.pixels[20:].astype(int) - 30000).max(axis=2) > 6554
    assert far.any()
    assert np.allclose(light[20:][far], decode(np.uint16([[30000]]), SRGB)[0, 0], atol=1e-6)


def test_a_small_change_keeps_most_of_a_highlight() -> None:
    light = np.full((32, 32, 3), 5.0, np.float32)
    frame = Frame(encode(light, SRGB, np.uint16), light=light)
    changed = frame.pixels - np.uint16(655)  # a hundredth: a tenth of what makes it another colour
    got = light_of_foreground(changed, np.full((32, 32), 0.5, np.float32), frame)
    assert got is not None
    assert np.allclose(got, decode(changed, SRGB) + 0.9 * 4, atol=0.01)


def test_negative_values_do_not_fall() -> None:
    frame = make_frame()
    rng = np.random.default_rng(4)
    codes = np.clip(frame.pixels + rng.integers(-9000, 9000, frame.pixels.shape), 0, 65535).astype(np.uint16)
    light = light_of_foreground(codes, rng.random((40, 48)).astype(np.float32), frame)
    assert light is not None
    assert np.all(light >= np.minimum(frame.light, 0) - 1e-6)
    assert np.isfinite(light).all()

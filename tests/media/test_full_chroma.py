"""YUV without subsampling: exact to half a code value, and the cut-outs that are packed with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from av import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from cleanplate.media.colour.full_chroma import FullChroma
from cleanplate.media.colour.h273 import LUMA_WEIGHTS, MATRICES, Colour, code_of
from cleanplate.media.video.packing import Packer
from cleanplate.media.video.unpacking import planes

SIZE = (70, 83)
TYPES = [np.uint8, np.uint16]


def noise(dtype: type, channels: int, seed: int = 0) -> npt.NDArray[Any]:
    """Every value, and the corners of the cube."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, np.iinfo(dtype).max, (*SIZE, channels), dtype, endpoint=True)
    corners = [[(corner >> bit & 1) * np.iinfo(dtype).max for bit in range(channels)] for corner in range(8)]
    pixels[0, :8] = corners
    return pixels


def convert_slowly(rgb: npt.NDArray[Any], matrix: str, bits: int, full_range: bool) -> npt.NDArray[Any]:
    """H.273's equations (38) to (46), not rounded."""
    red, green, blue = np.moveaxis(rgb / np.iinfo(rgb.dtype).max, 2, 0)
    of_red, of_blue = LUMA_WEIGHTS[matrix]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    differences = (blue - luma) / (2 - 2 * of_blue), (red - luma) / (2 - 2 * of_red)
    if full_range:
        top = 2**bits - 1
        return np.stack([luma * top, *(x * top + 2 ** (bits - 1) for x in differences)])
    unit = 2 ** (bits - 8)
    return np.stack([unit * (219 * luma + 16), *(unit * (224 * x + 128) for x in differences)])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("matrix", LUMA_WEIGHTS)
def test_every_value_is_rounded_to_nearest(matrix: str, bits: int, full_range: bool, dtype: type) -> None:
    rgb = noise(dtype, 3)
    conversion = FullChroma(matrix, bits, full_range)
    into = [np.empty(SIZE, np.uint8 if bits == 8 else np.uint16) for _ in range(3)]
    conversion.convert(rgb, into)
    exact = np.clip(convert_slowly(rgb, matrix, bits, full_range), 0, 2**bits - 1)
    # The sum is one of float32, whose rounding shows in 16 bits.
    assert np.abs(np.stack(into) - exact).max() <= (0.51 if bits < 16 else 0.52)
    conversion.convert(np.zeros_like(rgb), into)
    assert tuple(int(plane.max()) for plane in into) == conversion.black
    assert tuple(int(plane.min()) for plane in into) == conversion.black


def test_full_range_chroma_does_not_wrap_around() -> None:
    blue = np.zeros((4, 4, 3), np.uint8)
    blue[..., 2] = 255
    into = [np.empty((4, 4), np.uint8) for _ in range(3)]
    FullChroma("bt709", 8, True).convert(blue, into)
    assert into[1].max() == 255, "the exact value is 255.5"


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
def test_a_packed_cutout_equals_swscale(matrix: str, dtype: type) -> None:
    pixels = noise(dtype, 4)
    pixels[:33, :50, 3] = 0
    pixels[..., 3][48:] = 0
    before = pixels.copy()
    frame = Packer("yuva444p10le", *SIZE, Colour("limited", matrix, "bt709", "bt709")).pack(pixels)
    assert np.array_equal(pixels, before)

    shown = np.zeros((*SIZE, 3), np.uint8)
    visible = np.zeros(SIZE, bool)
    for top in range(0, SIZE[0], 16):
        for left in range(0, SIZE[1], 16):
            block = (slice(top, top + 16), slice(left, left + 16))
            visible[block] = pixels[block][..., 3].any()
    shown[visible] = (pixels[..., :3][visible] / np.iinfo(dtype).max * 255).round().astype(np.uint8)
    source = VideoFrame.from_ndarray(shown, "rgb24")
    source.colorspace = code_of(MATRICES, matrix)
    expected = VideoReformatter().reformat(
        source,
        format="yuv444p10le",
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        threads=1,  # several overwrite each other at odd widths
    )
    # The conversion from 16 bits to swscale's 8 loses up to two code values of ten bits.
    tolerance = 1 if dtype == np.uint8 else 3
    *colour, alpha = planes(frame, np.uint16)
    for plane, reference in zip(colour, planes(expected, np.uint16), strict=True):
        assert np.abs(plane.astype(int) - reference).max() <= tolerance
    assert not visible.all()
    for plane, black in zip(colour, (64, 512, 512), strict=True):
        assert np.all(plane[~visible] == black)
    assert np.abs(alpha - pixels[..., 3] / np.iinfo(dtype).max * 1023).max() <= 0.51


def test_a_cutout_without_a_subject_is_black() -> None:
    pixels = noise(np.uint8, 4)
    pixels[..., 3] = 0
    frame = Packer("yuva444p10le", *SIZE, Colour("limited", "bt709", "bt709", "bt709")).pack(pixels)
    assert [(int(p.min()), int(p.max())) for p in planes(frame, np.uint16)] == [
        (64, 64),
        (512, 512),
        (512, 512),
        (0, 0),
    ]

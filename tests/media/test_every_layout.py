"""One reader, one answer: the product of depths, orientations, colour models, planes, alpha and formats."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from tests.media.tiff_files import make_tiff

from cleanplate.errors import InputError
from cleanplate.media import Picture, read_image
from cleanplate.media.colour.transfer import SRGB, encode

SIZE = (33, 40)

TURNS = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}
"""EXIF's orientations, from its definition."""

GREY, MIN_IS_WHITE, RGB, CMYK = 1, 0, 2, 5
COLOURS = {GREY: 1, MIN_IS_WHITE: 1, RGB: 3, CMYK: 4}
DEPTHS = [np.uint8, np.uint16, np.float16, np.float32, np.float64]


def samples_of(count: int, dtype: type) -> np.ndarray:
    numbers = np.random.default_rng(count).uniform(0.02, 1, (*SIZE, count))
    if np.dtype(dtype).kind == "f":
        return numbers.astype(dtype)
    return np.rint(numbers * np.iinfo(dtype).max).astype(dtype)


def to_rgb(stored: np.ndarray, photometric: int) -> np.ndarray:
    """Full range as 1, in double precision."""
    top = 1 if stored.dtype.kind == "f" else np.iinfo(stored.dtype).max
    numbers = stored[..., : COLOURS[photometric]].astype(np.float64) / top
    if photometric == CMYK:
        return (1 - numbers[..., :3]) * (1 - numbers[..., 3:])
    if photometric == MIN_IS_WHITE:
        numbers = 1 - numbers
    return np.repeat(numbers, 3, axis=2) if photometric != RGB else numbers


def check(picture: Picture, rgb: np.ndarray, alpha: np.ndarray | None, slack: float = 0.51) -> None:
    top = np.iinfo(picture.pixels.dtype).max
    if picture.light is not None:
        assert np.abs(picture.light.astype(float) - rgb).max() < 1e-3
        rgb = encode(rgb.astype(np.float32), SRGB, np.uint16) / top
        slack = 70  # halves
    assert picture.pixels.shape == rgb.shape
    assert np.abs(picture.pixels - rgb * top).max() <= slack
    assert (picture.alpha is None) == (alpha is None)
    if alpha is not None:
        assert picture.alpha.dtype == picture.pixels.dtype
        assert np.abs(picture.alpha - alpha * top).max() <= 0.51


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("photometric", [GREY, MIN_IS_WHITE, RGB, CMYK])
@pytest.mark.parametrize("alpha", [None, "straight", "premultiplied", "other"])
@pytest.mark.parametrize("layout", ["pixels", "planes", "packed", "tiles"])
def test_every_layout_of_tiff_is_read(
    tmp_path: Path, dtype: type, photometric: int, alpha: str | None, layout: str
) -> None:
    stored = samples_of(COLOURS[photometric] + (alpha is not None), dtype)
    options = {"planes": {"separate": True}, "packed": {"differences": True}, "tiles": {"tile": 16}}
    if layout == "packed" and np.dtype(dtype).kind == "f":
        pytest.skip("differences of floats are another predictor")
    kinds = {"straight": [2], "premultiplied": [1], "other": [0]}
    for orientation, turn in TURNS.items():
        if layout != "pixels" and orientation not in (1, 6):
            continue
        file = make_tiff(
            stored,
            photometric=photometric,
            orientation=orientation,
            extra=kinds.get(alpha or "", ()),
            order="<>"[orientation % 2],
            **options.get(layout, {}),
        )
        path = tmp_path / f"{orientation}.tif"
        path.write_bytes(file)
        if photometric == CMYK and np.dtype(dtype).kind == "f":
            with pytest.raises(InputError, match="CMYK"):
                read_image(path)
            continue
        top = 1 if stored.dtype.kind == "f" else np.iinfo(dtype).max
        weight = stored[..., -1:].astype(float) / top if alpha in ("straight", "premultiplied") else None
        rgb = to_rgb(stored, photometric)
        if alpha == "premultiplied":
            rgb = rgb / weight
            rgb = rgb if stored.dtype.kind == "f" else np.minimum(rgb, 1)
        picture = read_image(path)
        slack = 0.51
        if photometric == CMYK:
            assert picture.pixels.dtype == np.uint8
            slack = 60 if alpha == "premultiplied" else 1.6
        check(picture, turn(rgb), None if weight is None else turn(weight[..., 0]), slack)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "CMYK", "RGBA", "LA", "1"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_8_bits_of_every_format_against_pillow(tmp_path: Path, mode: str, kind: str) -> None:
    smooth = cv2.GaussianBlur(samples_of(4, np.uint8), (0, 0), 4)
    image = Image.fromarray(smooth[..., :3] if mode in ("L", "RGB", "P", "1", "CMYK") else smooth)
    image = image.convert(mode)
    for orientation in TURNS:
        exif = Image.Exif()
        exif[274] = orientation
        encoded = io.BytesIO()
        try:
            image.save(encoded, kind, exif=exif, **({} if kind in ("JPEG", "AVIF") else {"lossless": True}))
        except OSError:
            pytest.skip(f"{kind} has no {mode}")
        path = tmp_path / f"{orientation}.png"
        path.write_bytes(encoded.getvalue())
        # Pillow turns some grey TIFFs by itself and others not: decoded upright, then turned here.
        turn = TURNS[orientation]
        with Image.open(io.BytesIO(encoded.getvalue())) as opened:
            if kind == "TIFF":
                straight = turn(np.asarray(image.convert("RGBA" if mode in ("RGBA", "LA") else "RGB")))
            else:
                upright = ImageOps.exif_transpose(opened)
                straight = np.asarray(upright.convert("RGBA" if upright.has_transparency_data else "RGB"))
        picture = read_image(path)
        assert np.array_equal(picture.pixels, straight[..., :3])
        assert (picture.alpha is None) == (straight.shape[2] == 3)
        if picture.alpha is not None:
            assert np.array_equal(picture.alpha, straight[..., 3])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("suffix", "bits"), [(".png", 16), (".jp2", 16), (".jp2", 12), (".avif", 10), (".avif", 12)]
)
def test_more_than_8_bits_elsewhere(tmp_path: Path, suffix: str, bits: int, channels: int) -> None:
    top = (1 << bits) - 1
    smooth = cv2.GaussianBlur(samples_of(channels, np.uint16), (0, 0), 6).reshape(*SIZE, channels)
    stored = np.rint(smooth / 65535 * top).astype(np.uint16)
    options = {".jp2": [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000], ".png": []}
    if suffix == ".avif":
        if channels == 1:
            pytest.skip("OpenCV writes colour only")
        options[suffix] = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100]
    written, encoded = cv2.imencode(
        suffix, stored[..., [2, 1, 0, 3][:channels]] if channels > 1 else stored, options[suffix]
    )
    assert written
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded.tobytes())
    picture = read_image(path)
    assert picture.pixels.dtype == np.uint16
    rgb = np.repeat(stored, 3, axis=2) if channels == 1 else stored[..., :3]
    # OpenCV writes 12 bits of JPEG 2000 as 16.
    full = 65535 if suffix == ".jp2" else top
    slack = 4 * 65535 / top if suffix == ".avif" else 0.51
    assert np.abs(picture.pixels - rgb * (65535 / full)).max() <= slack
    assert (picture.alpha is None) == (channels < 4)

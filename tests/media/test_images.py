from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from tests.media.tiff_files import make_tiff

from cleanplate.errors import InputError
from cleanplate.media import list_images, read_image
from cleanplate.media.colour.transfer import SRGB, encode
from cleanplate.media.stills import picture_kinds
from cleanplate.media.stills.dpx import encode_dpx
from cleanplate.media.stills.picture_tags import PictureTags

SAMPLES = Path(__file__).parents[2] / "samples"


def noise(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(7).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def ffmpeg_still(pixels: np.ndarray, codec: str, pixel_format: str) -> bytes:
    """Encoded by FFmpeg, which neither reader of ours shares code with."""
    source = {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}[1 if pixels.ndim == 2 else pixels.shape[2]]
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = pixels.shape[1], pixels.shape[0], pixel_format
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(pixels, format=source).reformat(format=pixel_format)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp", ".jpg"])
def test_reads_rgb_of_every_format(tmp_path: Path, suffix: str) -> None:
    pixels = cv2.GaussianBlur(noise((40, 50, 3)), (0, 0), 5)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(pixels).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    picture = read_image(path)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert picture.alpha is None
    assert np.abs(picture.pixels.astype(int) - pixels).max() <= (12 if suffix == ".jpg" else 0)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_bilevel_and_palette_become_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(noise((40, 50, 3))).convert(mode)
    image.save(tmp_path / "a.png")
    picture = read_image(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.alpha is None


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha_is_read_apart_from_colour(tmp_path: Path, mode: str) -> None:
    rgba = noise((40, 50, 4))
    image = Image.fromarray(rgba).convert(mode) if mode != "PA" else Image.fromarray(rgba).quantize(64)
    image.save(tmp_path / "a.png")
    expected = np.asarray(image.convert("RGBA"))
    picture = read_image(tmp_path / "a.png")
    assert picture.alpha is not None
    assert np.array_equal(picture.pixels, expected[..., :3])
    assert np.array_equal(picture.alpha, expected[..., 3])


def test_a_transparent_colour_is_alpha(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = (10, 20, 30)
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=(10, 20, 30))
    alpha = read_image(tmp_path / "a.png").alpha
    assert alpha is not None
    assert alpha[0, 0] == 0
    assert alpha[31, 0] == 255


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    Image.new("CMYK", (40, 40), (0, 255, 255, 0)).save(tmp_path / f"a{suffix}")
    red, green, blue = read_image(tmp_path / f"a{suffix}").pixels[20, 20].tolist()
    assert red > 230
    assert green < 40
    assert blue < 40


@pytest.mark.parametrize(
    ("codec", "channels", "pixel_format"),
    [
        ("png", 1, "gray16be"),
        ("png", 3, "rgb48be"),
        ("png", 4, "rgba64be"),
        ("tiff", 1, "gray16le"),
        ("tiff", 3, "rgb48le"),
        ("tiff", 4, "rgba64le"),
    ],
)
def test_16_bits_are_exact(tmp_path: Path, codec: str, channels: int, pixel_format: str) -> None:
    pixels = noise((40, 50) if channels == 1 else (40, 50, channels), np.uint16)
    path = tmp_path / f"a.{codec}"
    path.write_bytes(ffmpeg_still(pixels, codec, pixel_format))
    picture = read_image(path)
    assert picture.pixels.dtype == np.uint16
    rgb = np.repeat(pixels[..., None], 3, axis=2) if channels == 1 else pixels[..., :3]
    assert np.array_equal(picture.pixels, rgb)
    if channels == 4:
        assert picture.alpha is not None
        assert picture.alpha.dtype == np.uint16
        assert np.array_equal(picture.alpha, pixels[..., 3])
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    image = Image.fromarray(cv2.GaussianBlur(noise((40, 56, 3)), (0, 0), 6))
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a{suffix}"
    image.save(path, exif=exif)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    assert np.array_equal(read_image(path).pixels, expected)


def test_orientation_turns_16_bits_and_alpha_too(tmp_path: Path) -> None:
    rgba = noise((33, 40, 4), np.uint16)
    png = ffmpeg_still(rgba, "png", "rgba64be")
    exif = Image.Exif()
    exif[274] = 6
    data = exif.tobytes()[6:]
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    (tmp_path / "a.png").write_bytes(png[:33] + chunk + png[33:])
    picture = read_image(tmp_path / "a.png")
    assert picture.alpha is not None
    assert np.array_equal(picture.pixels, np.rot90(rgba[..., :3], -1))
    assert np.array_equal(picture.alpha, np.rot90(rgba[..., 3], -1))


def test_only_profiles_of_rgb_are_kept(tmp_path: Path) -> None:
    for space, kept in ((b"RGB ", True), (b"GRAY", False)):
        profile = bytes(16) + space + bytes(108)
        Image.fromarray(noise((32, 32, 3))).save(tmp_path / "a.png", icc_profile=profile)
        assert read_image(tmp_path / "a.png").icc_profile == (profile if kept else None)


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )


@pytest.mark.parametrize("free", [20_000_000_000, None])
def test_a_picture_too_large_for_the_memory_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int | None
) -> None:
    monkeypatch.setattr(picture_kinds, "available_memory", lambda: free)
    # A picture of 700 megapixels that decodes to 2 GB was taken once, and the run wanted many times that.
    (tmp_path / "bomb.png").write_bytes(png_header(26_000, 26_000))
    with pytest.raises(InputError, match="26000x26000: keying it takes 29,744 MB") as refused:
        read_image(tmp_path / "bomb.png")
    assert ("20,000 MB are free" in str(refused.value)) == (free is not None)
    Image.fromarray(noise((40, 50, 3))).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").pixels.shape == (40, 50, 3)


def test_a_picture_over_the_budget_is_refused_with_the_figure(tmp_path: Path) -> None:
    Image.fromarray(noise((40, 50, 3))).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="over the budget"):
        read_image(tmp_path / "a.png", budget_bytes=5_999)
    assert read_image(tmp_path / "a.png", budget_bytes=6_000).pixels.shape == (40, 50, 3)


def test_global_settings_of_pillow_are_unchanged(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    Image.fromarray(noise((40, 50, 3))).save(tmp_path / "a.png")
    read_image(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS


def test_mistakes_are_input_errors(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"no file .*missing\.jpg"):
        read_image(tmp_path / "missing.jpg")
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(InputError, match=r"empty\.jpg is empty"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(InputError, match=r"text\.png is not a picture"):
        read_image(tmp_path / "text.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path / "text.png" / "below")


def test_an_unreadable_file_is_an_input_error(locked_folder: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: permission denied"):
        read_image(locked_folder / "secret.png")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "deep.png", "deep.tiff"])
def test_truncated_files(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    if name.startswith("deep"):
        codec = path.suffix[1:]
        pixel_format = {"png": "rgb48be", "tiff": "rgb48le"}[codec]
        path.write_bytes(ffmpeg_still(noise((64, 64, 3), np.uint16), codec, pixel_format))
    else:
        Image.fromarray(noise((64, 64, 3))).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=name):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("samples", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_of_a_tiff_are_light(tmp_path: Path, samples: int, dtype: type) -> None:
    floats = np.random.default_rng(2).uniform(-0.5, 5, (40, 50, samples)).astype(dtype)
    floats[0, 0, :3] = np.nan
    (tmp_path / "a.tif").write_bytes(make_tiff(floats))
    picture = read_image(tmp_path / "a.tif")
    light = np.nan_to_num(floats[..., :3]).astype(np.float32)
    light = np.repeat(light, 3, axis=2) if samples == 1 else light
    assert np.array_equal(picture.light, light)
    assert np.array_equal(picture.pixels, encode(light, SRGB, np.uint16))
    if samples == 4:
        assert np.array_equal(picture.alpha, np.rint(np.clip(floats[..., 3], 0, 1) * 65535))
    else:
        assert picture.alpha is None
    with pytest.raises(InputError, match="over the budget"):
        read_image(tmp_path / "a.tif", budget_bytes=40 * 50 * 8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("tile", [0, 32])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
def test_tiles_byte_orders_and_large_files_of_tiff(
    tmp_path: Path, dtype: type, tile: int, order: str, big: bool
) -> None:
    pixels = noise((40, 50, 3), dtype)
    (tmp_path / "a.tif").write_bytes(make_tiff(pixels, tile=tile, order=order, big=big))
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


def test_whole_numbers_of_32_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((32, 32), np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="neither 8 nor 16 bits"):
        read_image(tmp_path / "a.tif")


def _seeds() -> list[bytes]:
    seeds = []
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        encoded = io.BytesIO()
        Image.fromarray(noise((32, 32, 3))).save(encoded, kind)
        seeds.append(encoded.getvalue())
    deep = noise((32, 32, 4), np.uint16)
    seeds.append(encode_dpx(deep[..., :3], PictureTags(bit_depth=10)))
    seeds.append(make_tiff(deep.astype(np.float32), tile=32))
    return [*seeds, ffmpeg_still(deep, "png", "rgba64be")]


SEEDS = _seeds()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=20),
    keep=st.floats(0.1, 1),
)
def test_mutated_files_are_read_or_input_errors(
    tmp_path: Path, seed: bytes, edits: list[tuple[float, int]], keep: float
) -> None:
    data = bytearray(seed)
    for where, value in edits:
        data[int(where * len(data))] = value
    (tmp_path / "a.png").write_bytes(data[: max(1, int(keep * len(data)))])
    try:
        picture = read_image(tmp_path / "a.png", budget_bytes=50_000_000)
    except InputError:
        return
    assert picture.pixels.dtype in (np.uint8, np.uint16)
    assert picture.pixels.shape[2] == 3


def test_lists_pictures_in_natural_order(tmp_path: Path) -> None:
    for name in ("shot 10.JPG", "shot 2.png", "shot 1.tif", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in list_images(tmp_path)] == ["shot 1.tif", "shot 2.png", "shot 10.JPG"]


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures in"):
        list_images(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        list_images(tmp_path / "missing")
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match="not a folder"):
        list_images(tmp_path / "a.png")


def test_sample_pictures_are_read() -> None:
    assert read_image(SAMPLES / "photo.jpg").pixels.ndim == 3

"""JPEG XL in and out, Cineon and PSD in, through OpenImageIO."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.media.missing_library import read_without

import cleanplate
from cleanplate.errors import CleanplateError, InputError, OutputError
from cleanplate.media import list_images, open_source, write_image
from cleanplate.media.stills.image_reader import read_image
from cleanplate.media.stills.picture_folders import list_unread

pytest.importorskip("OpenImageIO", reason="needs the extra vfx")

HEIGHT, WIDTH = 48, 64


def cutout(dtype: type) -> np.ndarray[Any, Any]:
    """Colour that also differs where alpha is 0."""
    top = np.iinfo(dtype).max
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [x * top // WIDTH, y * top // HEIGHT, np.full_like(x, top // 3), (x * 7 % 65) * top // 64]
    return np.stack(planes, axis=-1).astype(dtype)


def write_cineon(path: Path, codes: np.ndarray[Any, Any]) -> Path:
    """Write RGB of 10 bits as Kodak's specification (version 4.5) has it: big-endian, three in a word."""
    height, width = codes.shape[:2]
    header = bytearray(b"\xff" * 2048)
    struct.pack_into(">IIIIII", header, 0, 0x802A5FD7, 2048, 1024, 1024, 0, 2048 + height * width * 4)
    struct.pack_into(">8s100s12s12s", header, 24, b"V4.5", b"a.cin", b"2026:11:29", b"12:00:00")
    struct.pack_into(">BBH", header, 192, 0, 3, 0)
    for number in range(3):
        at = 196 + 28 * number
        struct.pack_into(">BBBB", header, at, 0, number + 1, 10, 0)
        struct.pack_into(">IIffff", header, at + 4, width, height, 0.0, 0.0, 1023.0, 2.046)
    struct.pack_into(">BBBBIIH", header, 680, 0, 5, 0, 0, 0, 0, 0)
    words = codes[..., 0] << 22 | codes[..., 1] << 12 | codes[..., 2] << 2
    path.write_bytes(bytes(header) + words.astype(">u4").tobytes())
    return path


def write_psd(path: Path, pixels: np.ndarray[Any, Any]) -> Path:
    """Write a PSD after Adobe's specification: one empty layer, and the merged picture as plain planes.

    A fourth channel is the transparency, which a negative number of layers declares; the colours are then
    those of the picture over white.
    """
    height, width, channels = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    top = np.iinfo(pixels.dtype).max
    stored = pixels.astype(np.float64)
    layers = b""
    if channels == 4:
        alpha = stored[..., 3:] / top
        stored[..., :3] = stored[..., :3] * alpha + top * (1 - alpha)
        layer = bytes(16) + struct.pack(">H4s4sBBBBI", 0, b"8BIM", b"norm", 255, 0, 0, 0, 12) + bytes(12)
        info = struct.pack(">h", -1) + layer
        info += bytes(len(info) % 2)
        layers = struct.pack(">I", len(info)) + info + bytes(4)
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, channels, height, width, bits, 3) + bytes(8)
    planes = np.moveaxis(np.rint(stored), -1, 0).astype(pixels.dtype.newbyteorder(">"))
    path.write_bytes(header + struct.pack(">I", len(layers)) + layers + b"\0\0" + planes.tobytes())
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("samples", [1, 3, 4])
def test_jpeg_xl_is_exact(tmp_path: Path, dtype: type, samples: int) -> None:
    pixels = cutout(dtype)[..., :samples]
    write_image(tmp_path / "a.jxl", pixels[..., 0] if samples == 1 else pixels)
    picture = read_image(tmp_path / "a.jxl")
    assert picture.pixels.dtype == dtype
    assert np.array_equal(picture.pixels, pixels[..., :3] if samples > 1 else np.repeat(pixels, 3, axis=2))
    assert (picture.alpha is not None) == (samples == 4)
    assert samples < 4 or np.array_equal(picture.alpha, pixels[..., 3])
    assert [path.name for path in list_images(tmp_path)] == ["a.jxl"]


def test_jpeg_xl_has_a_quality_and_keeps_a_profile(tmp_path: Path) -> None:
    pixels = cutout(np.uint8)[..., :3]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write_image(tmp_path / "a.jxl", pixels, icc_profile=profile)
    assert read_image(tmp_path / "a.jxl").icc_profile == profile
    write_image(tmp_path / "b.jxl", pixels, quality=60)
    error = np.abs(read_image(tmp_path / "b.jxl").pixels.astype(int) - pixels)
    assert 0 < error.mean() < 6


def test_a_clip_becomes_a_sequence_of_jpeg_xl(tmp_path: Path, tiny_model: Any) -> None:
    frames = [np.roll(cutout(np.uint8)[..., :3], shift, axis=1) for shift in range(2)]
    for number, frame in enumerate(frames):
        write_image(tmp_path / f"in_{number}.png", frame)
    write_image(tmp_path / "plate.jxl", frames[0])
    out = tmp_path / "out_%d.jxl"
    cleanplate.matte_video(tmp_path / "in_%d.png", tmp_path / "plate.jxl", out, model=tiny_model)
    with open_source(out) as source:
        assert [frame.alpha is not None for frame in source] == [True, True]


def test_cineon_keeps_its_code_values(tmp_path: Path) -> None:
    codes = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint32).reshape(HEIGHT, WIDTH, 3) % 1024
    picture = read_image(write_cineon(tmp_path / "a.cin", codes))
    assert np.array_equal(np.rint(picture.pixels / 65535 * 1023).astype(int), codes)
    assert picture.tags.bit_depth == 10


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("samples", [3, 4])
def test_psd_is_read_with_its_alpha(tmp_path: Path, dtype: type, samples: int) -> None:
    pixels = cutout(dtype)[..., :samples]
    picture = read_image(write_psd(tmp_path / "a.psd", pixels))
    if samples == 3:
        assert picture.alpha is None
        assert np.array_equal(picture.pixels, pixels[..., :3])
        return
    assert np.array_equal(picture.alpha, pixels[..., 3])
    dense = pixels[..., 3] > np.iinfo(dtype).max // 2
    assert np.abs(picture.pixels[dense].astype(int) - pixels[dense][:, :3]).max() <= 3


def test_damage_and_a_missing_library_are_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jxl", cutout(np.uint16))
    whole = (tmp_path / "a.jxl").read_bytes()
    (tmp_path / "cut.jxl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.jxl is damaged or cut short"):
        read_image(tmp_path / "cut.jxl")
    with pytest.raises(InputError, match="over the budget"):
        read_image(tmp_path / "a.jxl", budget_bytes=100)
    with pytest.raises(OutputError, match="exists already"):
        write_image(tmp_path / "a.jxl", cutout(np.uint8))
    told = read_without("OpenImageIO", tmp_path / "a.jxl")
    assert told == "Reading JPEG XL needs the extra 'vfx'. (pip install 'cleanplate[vfx]')\n"


def test_mutated_files_are_read_or_input_errors(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jxl", cutout(np.uint8))
    codes = np.full((HEIGHT, WIDTH, 3), 400, np.uint32)
    files = [tmp_path / "a.jxl", write_cineon(tmp_path / "a.cin", codes)]
    files.append(write_psd(tmp_path / "a.psd", cutout(np.uint16)))
    rng = np.random.default_rng(0)
    for file in files:
        data = np.frombuffer(file.read_bytes(), np.uint8)
        for _ in range(40):
            changed = data.copy()
            at = rng.integers(4, min(len(data), 300), 3)
            changed[at] = rng.integers(0, 256, 3)
            path = tmp_path / f"mutated{file.suffix}"
            path.write_bytes(changed.tobytes())
            try:
                read_image(path, budget_bytes=1 << 24)
            except CleanplateError:
                continue


def test_without_the_library_they_are_left_out_of_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cleanplate.media.stills import picture_kinds

    Image.new("RGB", (40, 32)).save(tmp_path / "b.png")
    for name in ("a.jxl", "c.psd", "d.cin"):
        (tmp_path / name).touch()
    monkeypatch.setattr(picture_kinds, "find_spec", lambda name: None if name == "OpenImageIO" else object())
    assert [path.name for path in list_unread(tmp_path)] == ["a.jxl", "c.psd", "d.cin"]

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from cleanplate.errors import OptionError, OutputError
from cleanplate.media import read_image, write_image
from cleanplate.media.stills.image_writer import encode_png, encode_tiff
from cleanplate.media.stills.picture_tags import PictureTags

SHAPES = [(37, 53), (37, 53, 3), (37, 53, 4)]


def noise(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return np.random.default_rng(3).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", SHAPES)
def test_png_and_tiff_are_exact(tmp_path: Path, suffix: str, dtype: type, shape: tuple[int, ...]) -> None:
    pixels = noise(shape, dtype)
    path = tmp_path / f"a{suffix}"
    write_image(path, pixels)
    # Read by other libraries: 8 bits by Pillow, 16 by OpenCV (which premultiplies 8).
    if dtype == np.uint8:
        stored = np.asarray(Image.open(path))
    else:
        decoded = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert decoded is not None
        order = [0] if pixels.ndim == 2 else [2, 1, 0, 3][: shape[2]]
        stored = decoded.reshape(37, 53, -1)[..., order].reshape(shape)
    assert stored.dtype == dtype
    assert np.array_equal(stored, pixels)
    picture = read_image(path)
    assert np.array_equal(picture.pixels, pixels[..., :3] if pixels.ndim == 3 else np.dstack([pixels] * 3))
    assert (picture.alpha is not None) == (shape[-1] == 4)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([3, 4])),
    )
)
def test_every_size_survives(pixels: Any) -> None:
    order = [2, 1, 0, 3][: pixels.shape[2]]
    for encoded in (encode_png(pixels), encode_tiff(pixels)):
        if pixels.dtype == np.uint8:
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(encoded))), pixels)
        else:
            stored = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
            assert stored is not None
            assert np.array_equal(stored[..., order], pixels)


def test_a_tiff_of_many_strips_is_exact(tmp_path: Path) -> None:
    pixels = noise((700, 500, 4), np.uint16)
    write_image(tmp_path / "a.tif", pixels)
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, pixels[..., :3])


def test_tiff_tags_straight_alpha(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", noise((40, 40, 4), np.uint8))
    with Image.open(tmp_path / "a.tif") as image:
        assert image.mode == "RGBA"
        assert image.tag_v2[338] == (2,)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_tags_premultiplied_alpha_and_is_read_back_as_straight(tmp_path: Path, dtype: type) -> None:
    top = np.iinfo(dtype).max
    pixels = np.full((40, 40, 4), (top // 4, top // 8, 0, top // 2), dtype)
    write_image(tmp_path / "a.tif", pixels, premultiplied=True)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[338] == (1,)
    read = read_image(tmp_path / "a.tif")
    assert np.abs(read.pixels[0, 0] / top - (0.5, 0.25, 0)).max() < 0.01
    assert read.alpha is not None
    assert read.alpha[0, 0] == top // 2


def test_webp_is_lossless_at_alpha_zero(tmp_path: Path) -> None:
    pixels = noise((40, 40, 4), np.uint8)
    pixels[:20, :, 3] = 0
    write_image(tmp_path / "a.webp", pixels)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.webp")), pixels)


def test_avif_is_lossless_with_alpha_and_profile(tmp_path: Path) -> None:
    pixels = noise((40, 52, 4), np.uint8)
    pixels[:20, :, 3] = 0
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, wanted in (("rgba", pixels), ("rgb", pixels[..., :3]), ("grey", pixels[..., 3])):
        write_image(tmp_path / f"{name}.avif", wanted, icc_profile=profile)
        with Image.open(tmp_path / f"{name}.avif") as image:
            assert np.array_equal(np.asarray(image), wanted)
            assert image.info.get("icc_profile") == (None if name == "grey" else profile)


@pytest.mark.parametrize(("source_bits", "written_bits"), [(10, 10), (None, 12)])
def test_avif_keeps_10_bits_and_rounds_16_to_12(
    tmp_path: Path, source_bits: int | None, written_bits: int
) -> None:
    pixels = noise((40, 52, 4), np.uint16)
    write_image(tmp_path / "a.avif", pixels, tags=PictureTags(bit_depth=source_bits))
    picture = read_image(tmp_path / "a.avif")
    assert picture.tags.bit_depth == written_bits
    assert picture.alpha is not None
    half_a_step = 65535 / ((1 << written_bits) - 1) / 2 + 1
    read = np.dstack([picture.pixels, picture.alpha]).astype(int)
    assert np.abs(read - pixels).max() <= half_a_step


def test_a_picture_too_large_for_avif_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="AVIF cannot hold a picture of 70000x32"):
        write_image(tmp_path / "a.avif", np.zeros((32, 70000), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_webp_and_jpeg_dither_colour_of_16_bits_and_round_the_rest(tmp_path: Path) -> None:
    deep = 257 * 100 + 100  # 100.39 of 255
    cutout = np.full((40, 40, 4), deep, np.uint16)
    write_image(tmp_path / "a.webp", cutout)
    picture = read_image(tmp_path / "a.webp")
    assert np.unique(picture.pixels).tolist() == [100, 101]
    assert picture.pixels.mean() == pytest.approx(deep / 257, abs=0.01)
    assert picture.alpha is not None
    assert np.unique(picture.alpha).tolist() == [100]
    for suffix in (".webp", ".jpg"):
        write_image(tmp_path / f"grey{suffix}", cutout[..., 3])
        assert np.unique(read_image(tmp_path / f"grey{suffix}").pixels).tolist() == [100]
    write_image(tmp_path / "a.jpg", cutout[..., :3], quality=98)
    assert read_image(tmp_path / "a.jpg").pixels.mean() == pytest.approx(deep / 257, abs=0.1)
    # Qualities that would lose the dither are not dithered.
    for suffix in (".webp", ".jpg"):
        write_image(tmp_path / f"coarse{suffix}", cutout[..., :3], quality=95)
        assert len(np.unique(read_image(tmp_path / f"coarse{suffix}").pixels)) == 1


def test_higher_quality_makes_larger_files(tmp_path: Path) -> None:
    pixels = cv2.GaussianBlur(noise((200, 200, 3), np.uint8), (0, 0), 2)
    for suffix in (".jpg", ".webp", ".avif"):
        sizes = []
        for quality in (10, 90):
            path = tmp_path / f"{quality}{suffix}"
            write_image(path, pixels, quality=quality)
            sizes.append(path.stat().st_size)
        assert sizes[0] < sizes[1] / 2
    with pytest.raises(OptionError, match="from 1 to 100, got 0"):
        write_image(tmp_path / "a.jpg", pixels, quality=0)
    with pytest.raises(OptionError, match="lossless"):
        write_image(tmp_path / "a.png", pixels, quality=90)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_the_profile_is_kept(tmp_path: Path, suffix: str) -> None:
    profile = bytes(16) + b"RGB " + bytes(range(108))
    write_image(tmp_path / f"a{suffix}", noise((40, 40, 3), np.uint8), icc_profile=profile)
    assert read_image(tmp_path / f"a{suffix}").icc_profile == profile


def test_files_are_overwritten_on_request_only(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        write_image(path, noise((40, 40, 3), np.uint8))
    assert path.read_text() == "precious"
    write_image(path, noise((40, 40, 3), np.uint8), overwrite=True)
    assert read_image(path).pixels.shape == (40, 40, 3)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_mistakes_are_output_errors(tmp_path: Path) -> None:
    pixels = noise((40, 40, 4), np.uint8)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file is a file, so a\.png"):
        write_image(tmp_path / "file" / "a.png", pixels)
    with pytest.raises(OutputError, match=r"The folder .* cannot be made"):
        write_image(tmp_path / "file" / "folder" / "a.png", pixels)
    with pytest.raises(OutputError, match="no suffix of a picture format"):
        write_image(tmp_path / "a.psd", pixels)
    with pytest.raises(OutputError, match="JPEG has no alpha"):
        write_image(tmp_path / "a.jpg", pixels)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        write_image(tmp_path / "file" / "a.png", pixels)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_image(tmp_path / "folder.png", pixels, overwrite=True)
    with pytest.raises(OptionError, match="float64"):
        write_image(tmp_path / "a.png", pixels / 255)
    with pytest.raises(OptionError, match=r"\(40, 40, 2\)"):
        write_image(tmp_path / "a.png", pixels[..., :2])


def test_a_read_only_folder_is_an_output_error(locked_folder: Path) -> None:
    with pytest.raises(OutputError, match="read-only"):
        write_image(locked_folder / "a.png", noise((40, 40, 3), np.uint8))


def test_a_full_disk_keeps_the_old_file_and_leaves_no_part(tmp_path: Path, small_files: Any) -> None:
    path = tmp_path / "a.png"
    path.write_text("precious")
    with small_files(1000), pytest.raises(OutputError, match="disk is full"):
        write_image(path, noise((100, 100, 3), np.uint8), overwrite=True)
    assert path.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError, match="disk is full") as caught:
        write_image(tmp_path / "a.png", noise((40, 40, 3), np.uint8))
    assert "free some space" in caught.value.hint

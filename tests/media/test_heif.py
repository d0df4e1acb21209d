"""HEIC: depth, alpha, profile, orientation, folders, damage, and the missing extra."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.media.missing_library import read_without

from cleanplate.cli import main
from cleanplate.errors import InputError
from cleanplate.media import list_images
from cleanplate.media.stills.image_reader import read_image, read_mode, read_size
from cleanplate.media.stills.picture_folders import list_unread

pillow_heif: Any = pytest.importorskip("pillow_heif", reason="needs the extra heif")

HEIGHT, WIDTH = 96, 160


def ramp() -> Image.Image:
    """Three smooth ramps, which a lossy codec keeps closely."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return Image.fromarray(np.stack([x * 255 // WIDTH, y * 255 // HEIGHT, 255 - x], axis=-1).astype(np.uint8))


def write_heic(path: Path, picture: Image.Image, **options: Any) -> Path:
    """Write by libheif's own encoder, with full chroma."""
    pillow_heif.from_pillow(picture).save(path, quality=95, chroma=444, **options)
    return path


def write_ten_bits(path: Path, codes: np.ndarray[Any, Any]) -> Path:
    """Write codes of 10 bits, ``(height, width, 3)``, without loss."""
    height, width = codes.shape[:2]
    raised = (codes.astype(np.uint16) << 6).tobytes()
    pillow_heif.from_bytes("RGB;16", (width, height), raised).save(
        path, quality=-1, chroma=444, matrix_coefficients=0
    )
    return path


def test_a_picture_of_8_bits(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", ramp())
    picture = read_image(path)
    assert picture.pixels.dtype == np.uint8
    assert picture.alpha is None
    assert np.abs(picture.pixels.astype(int) - np.asarray(ramp())).mean() < 2
    assert read_size(path) == (HEIGHT, WIDTH)
    assert read_mode(path) == "RGB"


def test_ten_bits_stay(tmp_path: Path) -> None:
    codes = np.repeat((np.arange(WIDTH) * 1023 // (WIDTH - 1))[None, :, None], HEIGHT, axis=0)
    codes = np.repeat(codes, 3, axis=2)
    pixels = read_image(write_ten_bits(tmp_path / "a.heic", codes)).pixels
    assert pixels.dtype == np.uint16
    assert (pixels[0, 0, 0], pixels[0, -1, 0]) == (0, 65535)
    # Without loss, so each of the 160 codes is back.
    assert np.array_equal(np.rint(pixels / 65535 * 1023).astype(int), codes)


def test_alpha(tmp_path: Path) -> None:
    picture = ramp()
    picture.putalpha(Image.fromarray(np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1))))
    alpha = read_image(write_heic(tmp_path / "a.heic", picture)).alpha
    assert alpha is not None
    assert np.abs(alpha.astype(int) - np.arange(WIDTH)).max() <= 8


def test_the_profile_is_kept(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pillow_heif.from_pillow(ramp()).save(tmp_path / "a.heic", icc_profile=profile)
    assert read_image(tmp_path / "a.heic").icc_profile == profile


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_upright_once(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = ramp()
    saved = io.BytesIO()
    pillow_heif.from_pillow(turned).save(saved, quality=95, chroma=444, exif=exif.tobytes())
    (tmp_path / "a.heic").write_bytes(saved.getvalue())
    jpeg = io.BytesIO()
    turned.save(jpeg, "JPEG", quality=98, exif=exif.tobytes())
    (tmp_path / "a.jpg").write_bytes(jpeg.getvalue())
    heic, expected = read_image(tmp_path / "a.heic").pixels, read_image(tmp_path / "a.jpg").pixels
    assert heic.shape == expected.shape
    assert np.abs(heic.astype(int) - expected).mean() < 3


def test_a_folder_lists_it(tmp_path: Path) -> None:
    write_heic(tmp_path / "IMG_2.HEIC", ramp())
    ramp().save(tmp_path / "IMG_10.jpg")
    assert [path.name for path in list_images(tmp_path)] == ["IMG_2.HEIC", "IMG_10.jpg"]
    assert list_unread(tmp_path) == []


@pytest.mark.parametrize("length", [40, 300, -2000, -100])
def test_a_cut_file(tmp_path: Path, length: int) -> None:
    whole = write_heic(tmp_path / "a.heic", ramp()).read_bytes()
    (tmp_path / "a.heic").write_bytes(whole[:length])
    with pytest.raises(InputError, match=r"a\.heic is (damaged or cut short|not a picture)"):
        read_image(tmp_path / "a.heic")


def test_the_budget_holds_before_decoding(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", ramp())
    with pytest.raises(InputError, match="over the budget"):
        read_image(path, budget_bytes=1000)


def test_photo_and_plate_on_the_command_line(tmp_path: Path) -> None:
    plate = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    plate[::7] = 140
    photo = plate.copy()
    photo[30:80, 60:100] = (220, 40, 40)
    command = [
        "image",
        str(write_heic(tmp_path / "photo.heic", Image.fromarray(photo))),
        *("--plate", str(write_heic(tmp_path / "plate.heic", Image.fromarray(plate)))),
        *("-o", str(tmp_path / "cut.png"), "--no-align"),
    ]
    assert main(command) == 0
    alpha = np.asarray(Image.open(tmp_path / "cut.png"))[..., 3]
    assert alpha[45:65, 70:90].min() > 200
    assert alpha[:20].max() < 40


def test_without_the_extra(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", ramp())
    expected = "Reading HEIC needs the extra 'heif'. (pip install 'cleanplate[heif]')\n"
    assert read_without("pillow_heif", path) == expected

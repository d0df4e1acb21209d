"""Tags of stills that exiftool writes, and files of ours that it reads: as on a photographer's machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.media.dng_files import make_dng

import cleanplate
from cleanplate.media import read_image, write_image

HEIGHT, WIDTH = 48, 64
TURN = "Rotate 90 CW"


@pytest.fixture(scope="module")
def exiftool() -> str:
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not installed")
    return program


def tag(exiftool: str, path: Path, *tags: str) -> None:
    subprocess.run([exiftool, "-q", "-overwrite_original", *tags, str(path)], check=True, timeout=120)


def read_tags(exiftool: str, path: Path) -> dict[str, Any]:
    told = subprocess.run(
        [exiftool, "-json", str(path)], check=True, capture_output=True, text=True, timeout=120
    )
    found: dict[str, Any] = json.loads(told.stdout)[0]
    return found


def draw() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 4, y * 5, (x + y) * 2], axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".heic", ".avif", ".dng"])
def test_a_picture_turned_by_exiftool_is_upright(exiftool: str, tmp_path: Path, suffix: str) -> None:
    if suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if suffix == ".dng":
        pytest.importorskip("rawpy")
    level = tmp_path / f"level{suffix}"
    if suffix == ".dng":
        level.write_bytes(make_dng(draw() / 255, (1, 1, 1)))
    else:
        Image.fromarray(draw()).save(level)
    turned = Path(shutil.copy(level, tmp_path / f"turned{suffix}"))
    tag(exiftool, turned, f"-Orientation={TURN}")
    assert read_tags(exiftool, turned)["Orientation"] == TURN
    if suffix in (".heic", ".avif"):  # the container's own turn counts there, which exiftool leaves alone
        assert np.array_equal(read_image(turned).pixels, read_image(level).pixels)
    else:
        assert np.array_equal(read_image(turned).pixels, np.rot90(read_image(level).pixels, -1))


def test_a_profile_that_exiftool_embeds_comes_out_again(exiftool: str, tmp_path: Path) -> None:
    profile = tmp_path / "p.icc"
    profile.write_bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for name in ("photo.jpg", "plate.jpg"):
        Image.fromarray(draw()).save(tmp_path / name, quality=95)
    tag(exiftool, tmp_path / "photo.jpg", f"-ICC_Profile<={profile}")
    cutout = cleanplate.matte_image(tmp_path / "photo.jpg", plate=str(tmp_path / "plate.jpg"))
    for name in ("cut.png", "cut.tif"):
        cutout.save(tmp_path / name)
        found = read_tags(exiftool, tmp_path / name)
        assert found["ColorSpaceData"].strip() == "RGB"
        assert found["ImageWidth"] == WIDTH


@pytest.mark.parametrize(("suffix", "bits"), [(".png", 16), (".tif", 16), (".exr", 16), (".jpg", 8)])
def test_exiftool_reads_our_stills_without_a_warning(
    exiftool: str, tmp_path: Path, suffix: str, bits: int
) -> None:
    if suffix == ".exr":
        pytest.importorskip("OpenEXR")
    path = tmp_path / f"a{suffix}"
    write_image(path, draw().astype(np.uint16) * 257 if bits == 16 else draw())
    found = read_tags(exiftool, path)
    assert (found["ImageWidth"], found["ImageHeight"]) == (WIDTH, HEIGHT)
    assert not {"Warning", "Error"} & set(found)

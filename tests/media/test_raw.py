"""Camera RAW: colours, white balance of photo and plate, orientation, damage, folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.media.dng_files import make_dng
from tests.media.missing_library import read_without

from cleanplate.cli import main
from cleanplate.errors import InputError
from cleanplate.frame import Frame
from cleanplate.media import list_images, read_image
from cleanplate.media.colour.transfer import SRGB, encode
from cleanplate.plate import load_plate

pytest.importorskip("rawpy", reason="needs the extra raw")

HEIGHT, WIDTH = 128, 192
TUNGSTEN = (0.8, 1.0, 0.45)


def scene(subject: bool) -> np.ndarray[Any, Any]:
    """Linear light: a wall with soft bands, and a red block."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    wall = 0.2 + 0.1 * np.sin(x / 9) * np.sin(y / 7)
    light = wall[..., None] * np.array((1.0, 0.9, 0.8))
    if subject:
        light[40:100, 80:130] = (0.6, 0.05, 0.05)
    return light


def write_dng(path: Path, light: np.ndarray[Any, Any], *options: Any) -> Path:
    path.write_bytes(make_dng(light, *options))
    return path


@pytest.mark.parametrize("neutral", [(1, 1, 1), TUNGSTEN])
def test_colours_are_those_of_the_scene(tmp_path: Path, neutral: tuple[float, float, float]) -> None:
    picture = read_image(write_dng(tmp_path / "a.dng", scene(subject=True), neutral))
    assert picture.pixels.dtype == np.uint16
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
    wanted = encode(scene(subject=True).astype(np.float32), SRGB, np.uint16).astype(float)
    error = np.abs(picture.pixels - wanted) / 65535
    assert error[48:92, 88:122].max() < 0.01
    assert np.median(error) < 0.004
    assert picture.white_balance is not None
    assert picture.white_balance[:3] == pytest.approx([neutral[1] / one for one in neutral], rel=0.01)


def test_the_brightness_does_not_depend_on_the_subject(tmp_path: Path) -> None:
    bright = scene(subject=True)
    bright[40:100, 80:130] = 0.97
    with_subject, without = (
        read_image(write_dng(tmp_path / "a.dng", light)).pixels for light in (bright, scene(subject=False))
    )
    assert np.array_equal(with_subject[:, :70], without[:, :70])


def test_a_plate_gets_the_photos_white_balance(tmp_path: Path) -> None:
    photo = read_image(write_dng(tmp_path / "photo.dng", scene(subject=True), TUNGSTEN))
    # The same light, but the camera chose another balance for the plate.
    content = make_dng(scene(subject=False) * np.array(TUNGSTEN), (1, 1, 1))
    (tmp_path / "plate.dng").write_bytes(content)
    plate = load_plate(tmp_path / "plate.dng")
    far = np.abs(plate.pixels[:, :70].astype(float) - photo.pixels[:, :70]).mean() / 65535
    frame = Frame(photo.pixels, white_balance=photo.white_balance)
    near = plate.with_colours_of(frame).pixels[:, :70] - photo.pixels[:, :70].astype(float)
    assert far > 0.05
    assert np.abs(near).mean() / 65535 < 0.002


def test_a_turned_picture_is_upright(tmp_path: Path) -> None:
    level = read_image(write_dng(tmp_path / "a.dng", scene(subject=True))).pixels
    turned = read_image(write_dng(tmp_path / "b.dng", scene(subject=True), (1, 1, 1), 6)).pixels
    assert turned.shape == (WIDTH, HEIGHT, 3)
    assert np.array_equal(turned, np.rot90(level, -1))


@pytest.mark.parametrize("length", [200, 600, 5000])
def test_a_cut_file(tmp_path: Path, length: int) -> None:
    (tmp_path / "a.dng").write_bytes(make_dng(scene(subject=True))[:length])
    with pytest.raises(InputError, match=r"a\.dng (cannot be developed|is damaged)"):
        read_image(tmp_path / "a.dng")


def test_the_budget_holds_before_development(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", scene(subject=True))
    with pytest.raises(InputError, match="over the budget"):
        read_image(path, budget_bytes=1000)


def test_a_folder_of_raw_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    write_dng(photos / "DSC_2.DNG", scene(subject=True), TUNGSTEN)
    (photos / "DSC_2.JPG").write_bytes(b"the camera's preview of the same photo")
    write_dng(tmp_path / "plate.dng", scene(subject=False))
    assert [path.name for path in list_images(photos)] == ["DSC_2.DNG"]
    command = ["image", str(photos), "--plate", str(tmp_path / "plate.dng"), "-o", f"{tmp_path / 'out'}/"]
    assert main(command) == 0
    assert "because a RAW file of the same name is there: DSC_2.JPG." in capsys.readouterr().err
    (result,) = (tmp_path / "out").glob("*.png")
    alpha = read_image(result).alpha
    assert alpha is not None
    alpha = alpha / np.iinfo(alpha.dtype).max
    assert alpha[55:85, 95:115].min() > 0.9
    assert alpha[:, :60].max() < 0.1


def test_without_the_extra(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", scene(subject=True))
    expected = "Reading camera RAW needs the extra 'raw'. (pip install 'cleanplate[raw]')\n"
    assert read_without("rawpy", path) == expected

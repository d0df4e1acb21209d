"""``cleanplate image``: photos with alpha or an ICC profile, and folders of photos."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import cleanplate
from cleanplate.cli import main
from cleanplate.media import read_image, write_image
from cleanplate.models.registry import Model
from cleanplate.plate import load_plate

SIZE = (96, 128)
SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def room(seed: int = 1) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize(SIZE[::-1], Image.Resampling.BICUBIC))


def cut_out_from_elsewhere(folder: Path) -> Path:
    """A photo whose left third is transparent (and black), its middle third half transparent."""
    alpha = np.full(SIZE, 255, np.uint8)
    alpha[:, :40] = 0
    alpha[:, 40:80] = 51
    pixels = room(2).copy()
    pixels[:, :40] = 0
    Image.fromarray(np.dstack([pixels, alpha])).save(folder / "photo.png")
    return folder / "photo.png"


@pytest.mark.parametrize("source_alpha", ["use", "ignore"])
def test_a_photo_with_alpha(tmp_path: Path, tiny_model: Model, source_alpha: str) -> None:
    notes: list[str] = []
    options: dict[str, Any] = {
        "model": tiny_model,
        "runtime": "onnx",
        "align": False,
        "on_note": notes.append,
    }
    photo = cut_out_from_elsewhere(tmp_path)
    plain = cleanplate.matte_image(read_image(photo).pixels, room(), **options).alpha
    notes.clear()
    alpha = cleanplate.matte_image(photo, room(), source_alpha=source_alpha, **options).alpha
    told = [note for note in notes if "alpha channel" in note]
    assert len(told) == 1
    assert "photo.png" in told[0]
    assert ("ignored" in told[0]) == (source_alpha == "ignore")
    if source_alpha == "ignore":
        assert np.array_equal(alpha, plain)
    else:
        assert not alpha[:, :40].any()
        assert np.allclose(alpha[:, 40:80], plain[:, 40:80] / 5, atol=1e-6)
        assert np.array_equal(alpha[:, 80:], plain[:, 80:])


def test_the_command_line_notes_the_alpha_of_the_photo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = cut_out_from_elsewhere(tmp_path)
    Image.fromarray(room(2)).save(tmp_path / "plate.png")
    command = ["image", str(photo), "--plate", str(tmp_path / "plate.png"), "--no-align"]
    assert main([*command, "--source-alpha", "ignore"]) == 0
    assert "alpha channel of photo.png is ignored" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert "photo.png has an alpha channel, which is multiplied" in capsys.readouterr().err
    with Image.open(tmp_path / "photo.cleanplate.png") as image:
        assert not np.asarray(image)[:, :40, 3].any()


def test_a_hole_in_the_plate_is_unknown(tmp_path: Path) -> None:
    plate = load_plate(cut_out_from_elsewhere(tmp_path))
    assert plate.known is not None
    assert not plate.known[:, :80].any()
    assert plate.known[:, 80:].all()
    Image.fromarray(np.dstack([room(), np.full(SIZE, 255, np.uint8)])).save(tmp_path / "opaque.png")
    assert load_plate(tmp_path / "opaque.png").known is None


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif", ".jpg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_result_has_no_profile_of_rgb(tmp_path: Path, suffix: str, dtype: type) -> None:
    grey = bytes(16) + b"GRAY" + bytes(108)
    for pixels, profile, kept in (
        (np.zeros(SIZE, dtype), SRGB_PROFILE, None),
        (np.zeros(SIZE, dtype), grey, grey),
        (np.zeros((*SIZE, 3), dtype), SRGB_PROFILE, SRGB_PROFILE),
        (np.zeros((*SIZE, 3), dtype), grey, None),
    ):
        path = tmp_path / f"a{suffix}"
        write_image(path, pixels, icc_profile=profile, overwrite=True)
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert image.info.get("icc_profile") == kept


def test_a_note_names_the_skipped_files_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(room(2)).save(tmp_path / "a.gif")
    (tmp_path / "b.tga").write_bytes(b"x")
    Image.fromarray(room(2)).save(tmp_path / "plate.png")
    out = tmp_path / "out"
    command = ["image", str(tmp_path), "--plate", str(tmp_path / "plate.png"), "-o", f"{out}/", "--no-align"]
    assert main(command) == 0
    assert "Skipped, because their format cannot be read: b.tga." in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["a.cleanplate.png"]

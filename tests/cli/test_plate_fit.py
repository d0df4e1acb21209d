"""``cleanplate plate fit``: the plate on each frame, in its light, as files for other programs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from cleanplate.cli import main
from cleanplate.media import open_source, read_image, write_image
from cleanplate.media.colour.transfer import SRGB, decode

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def shot(tmp_path: Path) -> list[np.ndarray]:
    """Two frames of the sample clip, the plate darker than they are."""
    with open_source(SAMPLES / "clip.mp4") as source:
        frames = [cv2.resize(frame.pixels, (480, 270)) for frame, _ in zip(source, range(2), strict=False)]
    for number, pixels in enumerate(frames, start=1001):
        write_image(tmp_path / f"shot_{number}.png", pixels)
    plate = cv2.resize(read_image(SAMPLES / "clip_plate.jpg").pixels, (480, 270))
    write_image(tmp_path / "plate.png", np.round(plate * 0.8).astype(np.uint8))
    return frames


def fit(folder: Path, out: str, *more: str, plate: str = "plate.png") -> int:
    given = [str(folder / "shot_%04d.png"), "--plate", str(folder / plate) if plate != "auto" else plate]
    return main(["plate", "fit", *given, "-o", str(folder / out), *more])


def test_the_fitted_plate_has_the_light_of_each_frame(tmp_path: Path, shot) -> None:
    assert fit(tmp_path, "fitted_%04d.png", "--quiet") == 0
    for number, frame in enumerate(shot, start=1001):
        fitted = read_image(tmp_path / f"fitted_{number}.png").pixels
        given = read_image(tmp_path / "plate.png").pixels
        left = np.s_[:, :60]  # nobody stands there
        assert np.abs(frame[left].astype(int) - fitted[left]).mean() < 3
        assert np.abs(frame[left].astype(int) - given[left]).mean() > 10


@pytest.mark.usefixtures("shot")
def test_exr_gets_light_and_existing_pictures_are_kept(tmp_path: Path, capsys) -> None:
    assert fit(tmp_path, "fitted_%04d.png") == fit(tmp_path, "fitted_%04d.exr") == 0
    with OpenEXR.File(str(tmp_path / "fitted_1001.exr")) as file:
        light = file.channels()["RGB"].pixels
    codes = read_image(tmp_path / "fitted_1001.png").pixels
    np.testing.assert_allclose(light, decode(codes, SRGB), atol=1e-3)
    before = (tmp_path / "fitted_1001.exr").read_bytes()
    assert fit(tmp_path, "fitted_%04d.exr") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "fitted_1001.exr").read_bytes() == before
    assert fit(tmp_path, "fitted_%04d.exr", "--overwrite") == 0


@pytest.mark.usefixtures("shot")
def test_the_word_auto_is_refused_with_the_command_that_builds_a_plate(tmp_path: Path, capsys) -> None:
    assert fit(tmp_path, "fitted_%04d.png", plate="auto") == 2
    assert "cleanplate plate build" in capsys.readouterr().err
    assert not list(tmp_path.glob("fitted*"))

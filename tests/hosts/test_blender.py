"""Cut-outs in Blender: imported and composited with the settings that docs/hosts.md gives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
import pytest

import cleanplate
from cleanplate.media import Reading, Span

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(shutil.which("blender") is None, reason="needs Blender (Debian: blender)"),
]

SAMPLES = Path(__file__).parents[2] / "samples"
GREEN = np.array([0.0, 0.694, 0.251])
"""Linear colour of the backdrop."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("blender")
    for name in ("cut.mov", "cut_%03d.png", "cut_%03d.exr"):
        cleanplate.matte_video(
            SAMPLES / "clip.mp4",
            SAMPLES / "clip_plate.jpg",
            made / name,
            reading=Reading(span=Span.parse("0-0.04")),
            scale="auto",
        )
    return made


def composite(cutout: Path, alpha_mode: str, colour_space: str, *, convert: bool) -> np.ndarray:
    """Composite over ``GREEN`` in Blender, as code values between 0 and 255."""
    result = cutout.with_name("over.png")
    script = Path(__file__).with_name("blender_composite.py")
    colour = ",".join(map(str, GREEN))
    given = [str(cutout), alpha_mode, colour_space, str(int(convert)), colour, str(result)]
    command = ["blender", "-b", "--factory-startup", "-noaudio", "-P", str(script), "--", *given]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return cv2.imread(str(result), cv2.IMREAD_UNCHANGED)[..., ::-1] / 257.0


def to_linear(code: np.ndarray) -> np.ndarray:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def to_code(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def lay_over(straight: np.ndarray) -> np.ndarray:
    """Lay RGBA between 0 and 1 over ``GREEN`` in linear light, as Blender does."""
    alpha = straight[..., 3:]
    return to_code(to_linear(straight[..., :3]) * alpha + GREEN * (1 - alpha))


def test_png_is_straight_and_needs_convert_premultiplied(folder: Path) -> None:
    pixels = cv2.imread(str(folder / "cut_000.png"), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
    seen = composite(folder / "cut_000.png", "STRAIGHT", "sRGB", convert=True)
    assert np.abs(seen - lay_over(pixels / np.iinfo(pixels.dtype).max)).max() < 0.1
    without = composite(folder / "cut_000.png", "STRAIGHT", "sRGB", convert=False)
    assert np.abs(without - seen).mean() > 5, "hidden colour is added to the backdrop"


def test_prores_is_straight_and_needs_convert_premultiplied(folder: Path) -> None:
    with av.open(folder / "cut.mov") as clip:
        pixels = next(clip.decode(video=0)).to_ndarray(format="rgba64le") / 65535
    seen = composite(folder / "cut.mov", "STRAIGHT", "sRGB", convert=True)
    difference = np.abs(seen - lay_over(pixels))
    assert difference.mean() < 0.2
    assert difference.max() < 8, "Blender reads a movie as 8 bits and interpolates chroma by its own filter"


def test_exr_is_premultiplied_and_linear(folder: Path) -> None:
    pixels = OpenEXR.File(str(folder / "cut_000.exr")).channels()["RGBA"].pixels.astype(np.float64)
    seen = composite(folder / "cut_000.exr", "PREMUL", "Linear", convert=False)
    assert np.abs(seen - to_code(pixels[..., :3] + GREEN * (1 - pixels[..., 3:]))).max() < 0.1

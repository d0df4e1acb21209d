"""The C++ example over ONNX Runtime's C interface gives the numbers of the Python package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from .conftest import assert_equal, key_in_python, read_pair

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "src" / "cleanplate" / "models" / "embedded"


@pytest.fixture(scope="module")
def program(ort_include: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("matte") / "matte"
    given = [
        f"PYTHON={sys.executable}",
        f"ORT_INCLUDE={ort_include}",
        f"OUT={program}",
        "CXXFLAGS=-O1 -Wall -Wextra -Werror",
    ]
    subprocess.run(["make", "-C", ROOT / "examples" / "cpp_onnx", *given], check=True, capture_output=True)
    return program


def write_ppm(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return path


@pytest.mark.parametrize(
    ("size", "dtype", "options"),
    [
        ((720, 1280), np.uint8, {}),
        ((333, 517), np.uint16, {}),
        ((540, 960), np.uint8, {"scale": "fine"}),
        ((150, 202), np.uint8, {"scale": 1.0}),
        ((480, 642), np.uint8, {"scale": 0.3, "refine": "threshold:0.02"}),
        ((240, 320), np.uint16, {"refine": "full"}),
        ((240, 320), np.uint8, {"refine": "off"}),
    ],
)
def test_numbers_are_those_of_python(program: Path, tmp_path: Path, size, dtype, options) -> None:
    source, plate = read_pair(size, dtype)
    expected = key_in_python(source, plate, **options)
    files = [
        write_ppm(tmp_path / f"{name}.ppm", pixels) for name, pixels in (("source", source), ("plate", plate))
    ]
    given = [
        text
        for name, value in options.items()
        for text in (f"--{name}", str(value).replace("threshold:", ""))
    ]
    command = [program, MODELS, *files, tmp_path / "alpha.pgm", tmp_path / "foreground.ppm", *given]
    subprocess.run(command, check=True)
    assert_equal(cv2.imread(str(tmp_path / "alpha.pgm"), -1) / 65535, expected.alpha)
    foreground = cv2.imread(str(tmp_path / "foreground.ppm"), -1)[..., ::-1]
    assert foreground.dtype == dtype
    assert_equal(foreground.astype(int), expected.foreground, bound=1)


def test_a_plate_of_another_size_is_one_sentence(program: Path, tmp_path: Path) -> None:
    source, plate = read_pair((64, 96), np.uint8)
    files = write_ppm(tmp_path / "source.ppm", source), write_ppm(tmp_path / "plate.ppm", plate[:, :64])
    done = subprocess.run(
        [program, MODELS, *files, "a.pgm", "f.ppm"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "The plate is 64x64, the source 96x64.\n")
    assert not (tmp_path / "a.pgm").exists()

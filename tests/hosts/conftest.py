"""Sources and reference results for programs in C++."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.keyer import Keyer
from cleanplate.plate import load_plate
from cleanplate.plate.fit import fit_plate

SAMPLES = Path(__file__).parents[2] / "samples"
ONE_CELL = 16
"""Pixels of one cell: where its error equals the threshold to rounding, only one program may refine it."""


def key_in_python(source: Pixels, plate: Pixels, **options: object) -> Matte:
    """Key without a fit of the plate."""
    frame = Frame(source)
    fitted = fit_plate(load_plate(plate), frame, align=False, mesh=False, photometric=False)
    assert np.array_equal(fitted.pixels, plate)
    return Keyer(fitted, **options)(frame)


def read_pair(size: tuple[int, int], dtype: type) -> tuple[Pixels, Pixels]:
    """Source and plate of the sample; 16 bits have noise, so that all of them are used."""
    pair = []
    for name in ("photo", "plate"):
        pixels = cv2.imread(str(SAMPLES / f"{name}.jpg"))[..., ::-1]
        small = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
        if dtype == np.uint16:
            noise = np.random.default_rng(1).integers(-128, 129, small.shape)
            small = (small.astype(np.int32) * 257 + noise).clip(0, 65535).astype(np.uint16)
        pair.append(np.ascontiguousarray(small))
    return pair[0], pair[1]


def assert_equal(result: np.ndarray, expected: np.ndarray, bound: float = 1e-4) -> None:
    """Compare ``(height, width, ...)``, with the exception of one cell."""
    wrong = np.abs(result.astype(np.float64) - expected) > bound
    assert np.count_nonzero(wrong.reshape(*wrong.shape[:2], -1).any(-1)) <= ONE_CELL, np.abs(
        result - expected
    ).max()


def _find_folder(variable: str, file: str, what: str) -> Path:
    folder = Path(os.environ.get(variable, ""))
    if not os.environ.get(variable) or not (folder / file).is_file():
        pytest.skip(f"needs {what}: {variable}=FOLDER with {file}")
    return folder.resolve()


@pytest.fixture(scope="session")
def ort_include() -> Path:
    """Headers of ONNX Runtime; the library is that of the Python package."""
    if not all(shutil.which(tool) for tool in ("make", "g++")):
        pytest.skip("needs g++ and make")
    return _find_folder("ORT_INCLUDE", "onnxruntime_c_api.h", "the headers of ONNX Runtime")


@pytest.fixture(scope="session")
def openfx() -> Path:
    """A copy of the OpenFX repository."""
    if not shutil.which("cmake"):
        pytest.skip("needs CMake")
    return _find_folder("OPENFX", "HostSupport/src/ofxhHost.cpp", "the OpenFX repository")

"""Common behaviour of the extra runtimes that start from ONNX files."""

from __future__ import annotations

import dataclasses
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cleanplate.errors import ModelError
from cleanplate.keyer.keyer import Keyer
from cleanplate.models.registry import find_model
from cleanplate.runtimes import open_runtime

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(params=["tensorflow", "openvino"])
def name(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"needs {request.param}: make test-runtimes")
    return str(request.param)


def test_unsupported_models_are_refused(name: str) -> None:
    lite = find_model("lite")
    with pytest.raises(ModelError, match="'lite' has no ONNX files"):
        open_runtime(dataclasses.replace(lite, coarse_onnx=None), name)
    with pytest.raises(ModelError, match=r"lite\.refiner\.onnx' does not fit its record"):
        open_runtime(dataclasses.replace(lite, coarse_onnx=lite.refiner_onnx), name)


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "missing"])
def test_an_error_names_a_damaged_file(name: str, damage: str, tmp_path: Path) -> None:
    lite = find_model("lite")
    assert lite.refiner_onnx is not None
    good = lite.refiner_onnx.read_bytes()
    bad = tmp_path / "bad.onnx"
    if damage != "missing":
        bad.write_bytes({"cut": good[: len(good) // 2], "noise": b"\x93" * 5000, "empty": b""}[damage])
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        open_runtime(dataclasses.replace(lite, refiner_onnx=bad), name)


def test_several_threads_may_refine_at_once(name: str) -> None:
    runtime = open_runtime(find_model("lite"), name)
    random = np.random.default_rng(0)
    channels = runtime.model.config.hidden_channels + 10
    windows = [
        (random.random((n, channels, 22, 22), np.float32), random.random((n, 6, 36, 36), np.float32))
        for n in (1, 5, 9, 2, 7, 3)
    ]
    expected = [runtime.refine(*pair) for pair in windows]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: runtime.refine(*pair), windows))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_sample_is_keyed_as_by_onnx_runtime(name: str) -> None:
    from cleanplate.media.stills.image_reader import read_image

    source = read_image(SAMPLES / "photo.jpg").pixels
    mattes = [
        Keyer(SAMPLES / "plate.jpg", runtime=runtime, device="cpu")(source) for runtime in (name, "onnx")
    ]
    np.testing.assert_allclose(mattes[0].alpha, mattes[1].alpha, atol=1e-4)
    # Colour is rounded to 8 bits in both.
    assert np.abs(mattes[0].foreground.astype(int) - mattes[1].foreground).max() <= 1

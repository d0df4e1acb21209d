"""TensorFlow as a runtime: what the contract of all runtimes does not ask."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow: make test-runtimes")
pytest.importorskip("onnx")

import cleanplate
from cleanplate.errors import ModelError, OptionError, UnavailableError
from cleanplate.keyer import Keyer
from cleanplate.models.registry import find_model
from cleanplate.runtimes import open_runtime
from cleanplate.runtimes.tensorflow_library import tf

SAMPLES = Path(__file__).parents[2] / "samples"


def test_devices_are_used_or_refused() -> None:
    lite = find_model("lite")
    assert open_runtime(lite, "tensorflow").device == "cpu"
    with pytest.raises(OptionError, match="'mps'"):
        open_runtime(lite, "tensorflow", "mps")
    if not tf.config.list_physical_devices("GPU"):
        with pytest.raises(UnavailableError, match="'cuda'") as caught:
            open_runtime(lite, "tensorflow", "cuda")
        assert "install" in caught.value.hint


def test_models_that_it_cannot_run() -> None:
    lite = find_model("lite")
    with pytest.raises(ModelError, match="'lite' has no ONNX files"):
        open_runtime(dataclasses.replace(lite, coarse_onnx=None), "tensorflow")
    with pytest.raises(ModelError, match=r"lite\.refiner\.onnx' does not fit its record"):
        open_runtime(dataclasses.replace(lite, coarse_onnx=lite.refiner_onnx), "tensorflow")


def test_threads_are_the_process_s() -> None:
    """In processes of their own: they can be set once."""
    code = (
        "from cleanplate.models.registry import find_model\n"
        "from cleanplate.runtimes import open_runtime\n"
        "from cleanplate.errors import UnavailableError\n"
        "runtime = open_runtime(find_model('lite'), 'tensorflow', 'cpu', 1)\n"
        "assert '1 threads' in runtime.description\n"
        "open_runtime(find_model('lite'), 'tensorflow', 'cpu', 1)\n"
        "try: open_runtime(find_model('lite'), 'tensorflow', 'cpu', 3)\n"
        "except UnavailableError as error: assert '3 threads' in str(error)\n"
        "else: raise SystemExit('not refused')\n"
    )
    folder = str(Path(cleanplate.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": folder}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "oneDNN" not in done.stderr


def test_several_threads_may_refine_at_once() -> None:
    runtime = open_runtime(find_model("lite"), "tensorflow")
    random = np.random.default_rng(0)
    windows = [
        (random.random((n, 21, 22, 22), np.float32), random.random((n, 6, 36, 36), np.float32))
        for n in (1, 5, 9, 2, 7, 3)
    ]
    expected = [runtime.refine(*pair) for pair in windows]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: runtime.refine(*pair), windows))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_sample_is_keyed_as_by_the_core() -> None:
    from cleanplate.media.images import read_image

    source = read_image(SAMPLES / "photo.jpg").pixels
    mattes = [
        Keyer(SAMPLES / "plate.jpg", runtime=name, device="cpu")(source) for name in ("tensorflow", "onnx")
    ]
    np.testing.assert_allclose(mattes[0].alpha, mattes[1].alpha, atol=1e-4)
    # Colour is rounded to 8 bits in both.
    assert np.abs(mattes[0].foreground.astype(int) - mattes[1].foreground).max() <= 1

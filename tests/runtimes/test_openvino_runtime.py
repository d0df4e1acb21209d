"""OpenVINO as a runtime: what the contract of all runtimes does not ask."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

openvino = pytest.importorskip("openvino", reason="needs OpenVINO: make test-runtimes")

from cleanplate.errors import ModelError, OptionError, UnavailableError  # noqa: E402
from cleanplate.keyer import Keyer  # noqa: E402
from cleanplate.models.registry import find_model  # noqa: E402
from cleanplate.runtimes import open_runtime, openvino_runtime  # noqa: E402

SAMPLES = Path(__file__).parents[2] / "samples"


def test_devices_are_used_or_refused() -> None:
    lite = find_model("lite")
    assert open_runtime(lite, "openvino").device == "cpu"
    with pytest.raises(OptionError, match="'cuda'"):
        open_runtime(lite, "openvino", "cuda")
    for device in {"gpu", "npu"} - set(openvino_runtime.working_devices()):
        with pytest.raises(UnavailableError, match=f"'{device}'") as caught:
            open_runtime(lite, "openvino", device)
        assert "driver" in caught.value.hint


def test_models_that_it_cannot_run() -> None:
    lite = find_model("lite")
    with pytest.raises(ModelError, match="'lite' has no ONNX files"):
        open_runtime(dataclasses.replace(lite, coarse_onnx=None), "openvino")
    with pytest.raises(ModelError, match=r"lite\.refiner\.onnx' does not fit its record"):
        open_runtime(dataclasses.replace(lite, coarse_onnx=lite.refiner_onnx), "openvino")


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "missing"])
def test_a_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    lite = find_model("lite")
    assert lite.refiner_onnx is not None
    good = lite.refiner_onnx.read_bytes()
    bad = tmp_path / "bad.onnx"
    if damage != "missing":
        bad.write_bytes({"cut": good[: len(good) // 2], "noise": b"\x93" * 5000, "empty": b""}[damage])
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        open_runtime(dataclasses.replace(lite, refiner_onnx=bad), "openvino")


def test_it_computes_in_full_precision_on_as_many_threads_as_told() -> None:
    """Also on processors that have bfloat16, where OpenVINO takes it by itself."""
    lite = find_model("lite")
    assert lite.coarse_onnx is not None
    network = openvino_runtime.Network(
        lite.coarse_onnx, "cpu", {"source": 3, "plate": 4}, threads=1, streams=1
    )
    compiled = network._compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert "1 threads" in open_runtime(lite, "openvino", "cpu", 1).description


def test_several_threads_may_refine_at_once() -> None:
    runtime = open_runtime(find_model("lite"), "openvino")
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
        Keyer(SAMPLES / "plate.jpg", runtime=name, device="cpu")(source) for name in ("openvino", "onnx")
    ]
    np.testing.assert_allclose(mattes[0].alpha, mattes[1].alpha, atol=1e-4)
    # Colour is rounded to 8 bits in both.
    assert np.abs(mattes[0].foreground.astype(int) - mattes[1].foreground).max() <= 1

"""OpenVINO as a runtime, beyond the contract of all runtimes."""

from __future__ import annotations

from pathlib import Path

import pytest

openvino = pytest.importorskip("openvino", reason="needs OpenVINO: make test-runtimes")

from cleanplate.errors import OptionError, UnavailableError  # noqa: E402
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


def test_openvino_computes_in_float32_with_the_given_threads() -> None:
    """Holds also on processors with bfloat16, the default of OpenVINO there."""
    lite = find_model("lite")
    assert lite.coarse_onnx is not None
    network = openvino_runtime.Network(
        lite.coarse_onnx, "cpu", {"source": 3, "plate": 4}, threads=1, streams=1
    )
    compiled = network._compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert "1 threads" in open_runtime(lite, "openvino", "cpu", 1).description

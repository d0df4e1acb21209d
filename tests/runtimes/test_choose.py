"""Choice of the runtime, and the error without one."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from cleanplate.errors import MissingExtraError, ModelError, OptionError, UnavailableError
from cleanplate.models.registry import Model
from cleanplate.runtimes import available_runtimes, open_runtime
from cleanplate.runtimes import selection as choose
from cleanplate.runtimes.onnx_runtime import PROVIDERS

HERE = {(row.runtime, row.device) for row in available_runtimes() if row.available}


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == "torch" else find(name, *a)
    )


def test_auto_chooses_onnx_without_an_accelerator(tiny_model: Model) -> None:
    if {device for _, device in HERE} != {"cpu"}:
        pytest.skip("this machine has an accelerator")
    runtime = open_runtime(tiny_model)
    assert (runtime.name, runtime.device) == ("onnx", "cpu")
    assert "ONNX Runtime" in runtime.description


def test_torch_is_not_imported_without_a_possible_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.13.0")
    monkeypatch.setattr(choose, "_GPU_NODES", ("/dev/null",))
    assert choose._may_have("cuda")
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.13.0+cpu")
    assert not choose._may_have("cuda")
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.13.0")
    monkeypatch.setattr(choose, "_GPU_NODES", ("/dev/no-such-node",))
    assert not choose._may_have("cuda")
    assert not choose._may_have("mps")
    assert choose._may_have("cpu")


@pytest.mark.usefixtures("torch_loads_tiny")
def test_auto_chooses_a_runtime_with_files_of_the_model(tiny_model: Model) -> None:
    only_weights = dataclasses.replace(tiny_model, coarse_onnx=None, refiner_onnx=None)
    assert open_runtime(only_weights).name == "torch"
    only_onnx = dataclasses.replace(tiny_model, weights=None)
    assert open_runtime(only_onnx, device="cpu").name == "onnx"


def test_a_model_without_files_for_the_runtime_is_refused(tiny_model: Model) -> None:
    with pytest.raises(ModelError, match="'tiny' has no ONNX files"):
        open_runtime(dataclasses.replace(tiny_model, coarse_onnx=None), "onnx")
    with pytest.raises(ModelError, match="'tiny' has no weights"):
        open_runtime(dataclasses.replace(tiny_model, weights=None), "torch", "cpu")


@pytest.mark.parametrize("device", sorted(PROVIDERS))
def test_an_onnx_device_is_used_or_refused_with_its_package(device: str, tiny_model: Model) -> None:
    if ("onnx", device) in HERE:
        assert open_runtime(tiny_model, "onnx", device).device == device
        return
    with pytest.raises(UnavailableError, match=device) as caught:
        open_runtime(tiny_model, "onnx", device)
    assert "install" in caught.value.hint


@pytest.mark.parametrize("device", ["cuda", "mps", "tensorrt", "directml", "coreml", "openvino"])
def test_a_missing_device_is_an_error_with_auto(device: str, tiny_model: Model) -> None:
    if any(device == there for _, there in HERE):
        pytest.skip(f"this machine has {device}")
    with pytest.raises(UnavailableError) as caught:
        open_runtime(tiny_model, "auto", device)
    assert caught.value.hint


def test_a_provider_that_fails_silently_is_an_error(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    opened: list[Any] = []
    start = onnxruntime.InferenceSession

    def fall_back(path: Path, options: Any, providers: Any, enable_fallback: int) -> Any:
        assert not enable_fallback
        opened.append(providers)
        return start(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fall_back)
    with pytest.raises(UnavailableError, match="cuda"):
        open_runtime(tiny_model, "onnx", "cuda")
    assert opened[0][0][0] == "CUDAExecutionProvider"


@pytest.mark.usefixtures("without_torch")
def test_missing_torch_names_the_extra(tiny_model: Model) -> None:
    with pytest.raises(MissingExtraError, match="torch") as caught:
        open_runtime(tiny_model, "torch")
    assert caught.value.extra == "torch"
    only_weights = dataclasses.replace(tiny_model, coarse_onnx=None)
    with pytest.raises(MissingExtraError):
        open_runtime(only_weights)
    rows = [row for row in available_runtimes() if row.runtime == "torch"]
    assert [(row.available, "cleanplate[torch]" in row.detail) for row in rows] == [(False, True)]


@pytest.mark.parametrize(
    ("runtime", "device", "value"),
    [
        ("theano", "auto", "theano"),
        ("auto", "gpu", "gpu"),
        ("torch", "directml", "directml"),
        ("onnx", "mps", "mps"),
    ],
)
def test_unknown_names_are_option_errors(runtime: str, device: str, value: str, tiny_model: Model) -> None:
    with pytest.raises(OptionError, match=value) as caught:
        open_runtime(tiny_model, runtime, device)
    assert "known" in caught.value.hint


def test_threads(tiny_model: Model) -> None:
    assert "2 threads" in open_runtime(tiny_model, "onnx", "cpu", 2).description
    with pytest.raises(OptionError, match="0"):
        open_runtime(tiny_model, threads=0)


@pytest.mark.parametrize("part", ["coarse_onnx", "refiner_onnx"])
@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "missing"])
def test_a_damaged_file_is_a_model_error_with_its_name(
    part: str, damage: str, tiny_model: Model, tmp_path: Path
) -> None:
    good = getattr(tiny_model, part).read_bytes()
    bad = tmp_path / "bad.onnx"
    if damage != "missing":
        bad.write_bytes({"cut": good[: len(good) // 2], "noise": b"\x93" * 5000, "empty": b""}[damage])
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        open_runtime(dataclasses.replace(tiny_model, **{part: bad}), "auto", "cpu")


def test_swapped_networks_are_a_model_error(tiny_model: Model) -> None:
    with pytest.raises(ModelError, match="half"):
        open_runtime(dataclasses.replace(tiny_model, coarse_onnx=tiny_model.refiner_onnx), "onnx")


def test_a_network_that_does_not_fit_its_record_is_a_model_error(tiny_model: Model) -> None:
    config = dataclasses.replace(tiny_model.config, plate_channels=3)
    with pytest.raises(ModelError, match="plate"):
        open_runtime(dataclasses.replace(tiny_model, config=config), "onnx")


def test_every_known_pair_is_listed_once() -> None:
    rows = available_runtimes()
    pairs = [(row.runtime, row.device) for row in rows]
    assert len(set(pairs)) == len(pairs)
    assert ("onnx", "cpu") in HERE
    assert all(row.detail for row in rows)


@pytest.mark.usefixtures("torch_loads_tiny")
def test_precision(tiny_model: Model) -> None:
    import torch

    runtime = open_runtime(tiny_model, "auto", "cpu", precision="bfloat16")
    assert "bfloat16" in runtime.description
    rng = np.random.default_rng(0)
    pixels, plate = (rng.random((1, channels, 24, 40), np.float32) for channels in (3, 4))
    coarse = runtime.coarse(*(torch.from_numpy(x).bfloat16() for x in (pixels, plate)))
    exact = open_runtime(tiny_model, "onnx", "cpu").coarse(pixels, plate)
    difference = np.abs(coarse.alpha.float().numpy() - exact.alpha).max()
    assert 0 < difference < 2e-2
    assert open_runtime(tiny_model, "auto", "cpu", precision="float32").name == "onnx"


@pytest.mark.parametrize(
    ("runtime", "precision", "message"),
    [
        ("auto", "int8", "Unknown precision 'int8'"),
        ("onnx", "bfloat16", "onnx runtime does not compute in bfloat16"),
        ("torch", "float16", "float16 is too slow on a CPU"),
    ],
)
def test_an_unsupported_precision_is_refused(
    runtime: str, precision: str, message: str, tiny_model: Model
) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        open_runtime(tiny_model, runtime, "cpu", precision=precision)
    assert caught.value.hint

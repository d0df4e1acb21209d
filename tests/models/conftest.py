"""A small model's files, hand-made without the exporter, and random BGMv2 weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from cleanplate.models.config import ModelConfig


@pytest.fixture
def config(tiny_config: ModelConfig) -> ModelConfig:
    return dataclasses.replace(tiny_config, target_long_side=640, size_multiple=16, note="grün")


@pytest.fixture
def write_onnx() -> Callable[[Path, ModelConfig | None], Path]:
    """Write a valid ONNX file with a record inside (or none)."""
    onnx = pytest.importorskip("onnx")

    def write(path: Path, config: ModelConfig | None) -> Path:
        value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
        weight = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [300], [0.5] * 300)
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [value], [weight]
        )
        model = onnx.helper.make_model(graph, producer_name="tests")
        records = {"other": "entry"} | ({} if config is None else {"cleanplate": config.to_json()})
        onnx.helper.set_model_props(model, records)
        path.write_bytes(model.SerializeToString())
        return path

    return write

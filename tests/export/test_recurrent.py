"""Recurrent ONNX file: interface, record, and detection of wrong numbers."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from cleanplate.errors import ModelError  # noqa: E402
from cleanplate.export import recurrent_onnx_export as recurrent  # noqa: E402
from cleanplate.models.load import load_network  # noqa: E402
from cleanplate.models.records import read_config  # noqa: E402
from cleanplate.runtimes.recurrent_onnx_runtime import INPUTS, OUTPUTS  # noqa: E402


def test_the_interface_is_that_of_rvm(tiny_recurrent_model):
    session = onnxruntime.InferenceSession(
        tiny_recurrent_model.recurrent_onnx, providers=["CPUExecutionProvider"]
    )
    assert {entry.name for entry in session.get_inputs()} == set(INPUTS)
    assert [entry.name for entry in session.get_outputs()] == list(OUTPUTS)
    assert read_config(tiny_recurrent_model.recurrent_onnx) == tiny_recurrent_model.config


def test_plain_onnx_runtime_equals_pytorch(tiny_recurrent_model):
    session = onnxruntime.InferenceSession(
        tiny_recurrent_model.recurrent_onnx, providers=["CPUExecutionProvider"]
    )
    network = load_network(tiny_recurrent_model)
    frame = np.random.default_rng(0).random((1, 3, 70, 91), dtype=np.float32)
    sides = [(18, 23), (9, 12), (5, 6), (3, 3)]
    states = [
        np.zeros((1, channels, *size), np.float32) for channels, size in zip((4, 4, 4, 4), sides, strict=True)
    ]
    feed = dict(zip(INPUTS, (frame, *states, np.array([0.51], np.float32)), strict=True))
    found = dict(zip(OUTPUTS, session.run(OUTPUTS, feed), strict=True))
    with torch.no_grad():
        expected = network(torch.from_numpy(frame)[:, None], None, 0.51)
    np.testing.assert_allclose(found["pha"], expected.alpha[:, 0], atol=1e-4)
    np.testing.assert_allclose(found["fgr"], expected.foreground[:, 0], atol=1e-4)
    for number, state in enumerate(expected.state, 1):
        np.testing.assert_allclose(found[f"r{number}o"], state, atol=1e-4)


def test_an_export_with_wrong_numbers_is_not_written(tiny_recurrent_model, tmp_path, monkeypatch):
    network = load_network(tiny_recurrent_model)
    with torch.no_grad():
        network.project_mat.conv.bias.add_(0.01)
    # Simulate an exporter that left this out.
    monkeypatch.setattr(recurrent, "_convert", lambda _: onnx.load(tiny_recurrent_model.recurrent_onnx))
    monkeypatch.setattr(recurrent, "_shrink_inside", lambda _: None)
    with pytest.raises(ModelError, match="'tiny-rvm' differs in ONNX Runtime"):
        recurrent.export_recurrent_onnx(network, tiny_recurrent_model.config, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []

"""One table of all runtimes, each in a process of its own."""

from __future__ import annotations

import json

import pytest

from cleanplate.cli import main
from cleanplate.cli.commands import bench_all
from cleanplate.runtimes import Availability


@pytest.fixture
def three_runtimes(monkeypatch):
    """A runtime that works, the same again, and one that fails to start."""
    rows = [Availability("onnx", "cpu", True, ""), Availability("onnx", "cpu", True, "")]
    rows += [Availability("onnx", "tensorrt", True, ""), Availability("torch", "cpu", False, "")]
    monkeypatch.setattr(bench_all, "available_runtimes", lambda: rows)


@pytest.mark.usefixtures("three_runtimes")
def test_table_and_json(capsys):
    arguments = ["bench", "--runtime", "all", "--size", "160x96", "--frames", "2"]
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    first, again, broken = report["rows"]
    assert report["reference"] == "onnx on cpu"
    assert first["alpha_difference"] == again["alpha_difference"] == 0
    assert first["fps"] > 0
    assert first["first_frame_seconds"] > first["milliseconds"]["keyer"] / 1000
    assert "tensorrt" in broken["error"]
    text = bench_all.describe_all(report).splitlines()
    assert [line.split()[0] for line in text[1:5]] == ["runtime", "onnx", "onnx", "onnx"]
    assert text[-1].startswith("onnx on tensorrt: ")


@pytest.mark.usefixtures("three_runtimes")
def test_a_device_without_a_runtime_is_refused(capsys):
    assert main(["bench", "--runtime", "all", "--device", "mps"]) == 2
    assert "No runtime here can run 'lite' on mps" in capsys.readouterr().err


def test_mattes_are_compared_at_positive_alpha(tmp_path):
    import numpy as np

    alpha = np.zeros((4, 4), np.float32)
    alpha[0] = 1
    colour = np.zeros((4, 4, 3), np.uint8)
    rows = []
    for number, (value, shade) in enumerate([(0.0, 0), (0.5, 51)]):
        other, tinted = alpha.copy(), colour.copy()
        other[0, 0] -= value
        tinted[0, :2] = shade
        tinted[1:] = number * 255
        np.savez(tmp_path / f"{number}.npz", alpha=other, foreground=tinted)
        rows.append({"matte": tmp_path / f"{number}.npz"})
    bench_all._compare(rows[1], rows[0])
    assert rows[1]["alpha_difference"] == pytest.approx(0.5 / 16)
    assert rows[1]["foreground_difference"] == pytest.approx(0.1)

"""The single graph: export and results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

from cleanplate.errors import OptionError  # noqa: E402
from cleanplate.export import onnx_export  # noqa: E402
from cleanplate.export.export_options import ExportOptions  # noqa: E402
from cleanplate.export.write import export_model  # noqa: E402
from cleanplate.models.records import read_config  # noqa: E402
from cleanplate.router import Refine  # noqa: E402

# The documented operators; see cleanplate.export.single_file.
NAMES = (
    "Conv Relu ReduceMean Resize DepthToSpace AveragePool MatMul Pad Gather ScatterND NonZero ReduceMax TopK "
    "ScatterElements Add Sub Mul Div Mod Neg Abs Min Clip Cast Greater GreaterOrEqual Less And Shape Reshape "
    "Sqrt Pow ReduceSum Transpose Concat Split Slice Squeeze Unsqueeze Expand ConstantOfShape"
)
KNOWN = set(NAMES.split())


@pytest.mark.slow
def test_a_graph_of_one_size_equals_the_keyer(open_model, tmp_path: Path) -> None:
    model = open_model("lite")
    options = ExportOptions(size=(96, 130), single_file=True, half=True, scale=0.5)
    (path,), difference = export_model(model, "onnx", tmp_path / "lite.onnx", options)
    assert difference.passes
    assert [entry.name for entry in tmp_path.iterdir()] == ["lite.onnx"]
    assert read_config(path) == model.config
    graph = onnx.load(path).graph
    assert {node.op_type for node in graph.node} <= KNOWN
    assert b".py" not in path.read_bytes()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [entry.shape for entry in session.get_inputs()] == [[1, 3, 96, 130]] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("lite", ExportOptions(single_file=True), marks=pytest.mark.long),
        pytest.param(
            *("bgmv2-3", ExportOptions(single_file=True, refine=Refine("sampling", 4000))),
            marks=pytest.mark.long,
        ),
        pytest.param(
            *("bgmv2-1", ExportOptions(single_file=True, refine=Refine("full"))), marks=pytest.mark.long
        ),
    ],
)
def test_a_graph_of_any_size_equals_the_keyer(
    open_model, tmp_path: Path, name: str, options: ExportOptions
) -> None:
    model = open_model(name)
    (path,), difference = export_model(model, "onnx", tmp_path / "x.onnx", options)
    assert difference.passes
    assert {node.op_type for node in onnx.load(path).graph.node} <= KNOWN
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for size in ((2, 3, 101, 67), (1, 3, 64, 150)):
        picture = rng.random(size, dtype=np.float32)
        pha, fgr = session.run(["pha", "fgr"], {"src": picture, "bgr": picture})
        assert pha.shape == (size[0], 1, *size[2:])
        assert fgr.shape == size


def test_an_impossible_scale_is_refused_at_once(
    open_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "export_onnx", None)  # no network is traced before
    with pytest.raises(OptionError, match=r"cannot have the scale 0\.3"):
        export_model(
            open_model("lite"), "onnx", tmp_path / "x.onnx", ExportOptions(single_file=True, scale=0.3)
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.long
def test_two_files_of_one_size_have_fixed_shapes(open_model, tmp_path: Path) -> None:
    paths, difference = export_model(
        open_model("lite"), "onnx", tmp_path / "x.onnx", ExportOptions(size=(120, 200))
    )
    assert difference.passes
    assert sorted(path.name for path in paths) == ["x.coarse.onnx", "x.refiner.onnx"]
    session = onnxruntime.InferenceSession(paths[0], providers=["CPUExecutionProvider"])
    assert all(isinstance(extent, int) for entry in session.get_inputs() for extent in entry.shape)

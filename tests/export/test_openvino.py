"""OpenVINO's files: equal numbers after reading, and the record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
openvino = pytest.importorskip("openvino", reason="needs OpenVINO: make test-runtimes")

from cleanplate.export.export_options import ExportOptions  # noqa: E402
from cleanplate.export.write import export_model  # noqa: E402
from cleanplate.models.registry import Model  # noqa: E402


@pytest.mark.usefixtures("torch_loads_tiny")
@pytest.mark.parametrize(
    "options", [ExportOptions(), ExportOptions(half=True), ExportOptions(size=(90, 146))], ids=str
)
def test_the_export_runs_in_openvino(options: ExportOptions, tiny_model: Model, tmp_path: Path) -> None:
    paths, difference = export_model(tiny_model, "openvino", tmp_path / "tiny", options)
    assert not isinstance(difference, str)
    assert difference.bound == (1e-2 if options.half else 1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
    assert len(paths) == 4
    coarse = openvino.Core().read_model(tmp_path / "tiny.coarse.xml")
    assert json.loads(coarse.get_rt_info(["cleanplate"]).astype(str))["name"] == "tiny"
    types = {
        node.get_element_type() for node in coarse.get_ordered_ops() if node.get_type_name() == "Constant"
    }
    assert (openvino.Type.f16 in types) == options.half
    assert coarse.inputs[0].partial_shape.is_dynamic == (options.size is None)

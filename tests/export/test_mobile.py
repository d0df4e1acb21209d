"""ExecuTorch and Core ML, where their converters are installed (`make test-mobile`)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from cleanplate.errors import OptionError
from cleanplate.export.export_options import ExportOptions
from cleanplate.export.write import export_model
from cleanplate.models.registry import find_model

needs_executorch = pytest.mark.skipif(
    importlib.util.find_spec("executorch") is None, reason="executorch is not installed"
)
needs_coreml = pytest.mark.skipif(
    importlib.util.find_spec("coremltools") is None, reason="coremltools is not installed"
)


@needs_executorch
def test_executorch_equals_the_model(tmp_path: Path) -> None:
    paths, difference = export_model(find_model("lite"), "executorch", tmp_path / "lite")
    assert [path.name for path in paths] == ["lite.coarse.pte", "lite.refiner.pte"]
    assert not isinstance(difference, str)
    assert difference.passes
    from executorch.runtime import Runtime

    record = Runtime.get().load_program(paths[0]).load_method("cleanplate").execute([])[0]
    assert json.loads(record)["name"] == "lite"


@needs_executorch
def test_executorch_in_half_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="float32 only"):
        export_model(find_model("lite"), "executorch", tmp_path / "lite", ExportOptions(half=True))
    assert list(tmp_path.iterdir()) == []


@needs_coreml
# The converter leaves temporary folders to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("half", [False, True])
def test_the_core_ml_package_has_inputs_outputs_and_record(tmp_path: Path, half: bool) -> None:
    paths, _ = export_model(find_model("lite"), "coreml", tmp_path / "lite", ExportOptions(half=half))
    assert [path.name for path in paths] == ["lite.coarse.mlpackage", "lite.refiner.mlpackage"]
    import coremltools

    description = coremltools.utils.load_spec(str(paths[0])).description
    assert [entry.name for entry in description.input] == ["source", "plate"]
    assert [entry.name for entry in description.output] == ["alpha", "residual", "error", "hidden"]
    rows = description.input[0].type.multiArrayType.shapeRange.sizeRanges[2]
    assert (rows.lowerBound, rows.upperBound) == (32, 1024)
    assert json.loads(description.metadata.userDefined["cleanplate"])["name"] == "lite"
    fixed, _ = export_model(
        find_model("lite"), "coreml", tmp_path / "f", ExportOptions(size=(720, 1280), half=half)
    )
    description = coremltools.utils.load_spec(str(fixed[0])).description
    assert list(description.input[0].type.multiArrayType.shape) == [1, 3, 288, 512]

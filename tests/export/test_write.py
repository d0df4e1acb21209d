"""Export of a model: written beside the target, checked, renamed; and the comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleanplate.errors import MissingExtraError, ModelError, OptionError, OutputError
from cleanplate.export import targets as formats
from cleanplate.export.export_options import Exported, ExportOptions
from cleanplate.export.parity import key_with, measure_difference, read_pair
from cleanplate.export.targets import ExportFormat
from cleanplate.export.write import export_model
from cleanplate.models.registry import Model
from cleanplate.router import Refine
from cleanplate.runtimes import open_runtime

pytestmark = pytest.mark.usefixtures("torch_loads_tiny")

BY = {"alpha": 0.0, "foreground": 0.0}


@pytest.fixture
def as_two(monkeypatch: pytest.MonkeyPatch, tiny_model: Model) -> dict[str, Any]:
    """Format of two files with a given error of its numbers."""
    off: dict[str, Any] = {"alpha": 0.0, "precision": "float32", "unchecked": None}

    def write(_model: Model, path: Path, _wish: ExportOptions) -> Exported:
        paths = [path.with_name(f"{path.stem}.{part}{path.suffix}") for part in ("coarse", "refiner")]
        for written in paths:
            written.write_bytes(b"network")

        def key(source: Any, plate: Any) -> tuple[Any, Any]:
            assert all(written.read_bytes() == b"network" for written in paths)
            alpha, foreground = key_with(
                open_runtime(tiny_model, "onnx", "cpu"), source, plate, None, Refine("full")
            )
            return alpha + off["alpha"], foreground

        return Exported(paths, key, off["precision"], unchecked=off["unchecked"])

    monkeypatch.setattr("cleanplate.export.onnx_export.write_two", write, raising=False)
    kind = ExportFormat(".two", "two", ("onnx_export", "write_two"), ("torch",), "export")
    monkeypatch.setitem(formats.FORMATS, "two", kind)
    return off


@pytest.mark.usefixtures("as_two")
@pytest.mark.parametrize("name", ["x.two", "x"])
def test_an_export_that_passes_is_moved_into_place(tiny_model: Model, tmp_path: Path, name: str) -> None:
    said: list[str] = []
    paths, difference = export_model(tiny_model, "two", tmp_path / name, say=said.append)
    assert sorted(path.name for path in paths) == ["x.coarse.two", "x.refiner.two"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert not isinstance(difference, str)
    assert difference.passes
    assert 0 <= difference.mean_alpha <= difference.alpha < 1e-4
    assert len(said) == 2


@pytest.mark.parametrize(("alpha", "precision", "passes"), [
    (2e-4, "float32", False), (2e-4, "float16", True), (2e-2, "float16", False), (np.nan, "float16", False),
])  # fmt: skip
def test_an_export_that_differs_leaves_no_file(
    tiny_model: Model, tmp_path: Path, as_two: dict[str, Any], alpha: float, precision: str, passes: bool
) -> None:
    as_two.update(alpha=alpha, precision=precision)
    if passes:
        export_model(tiny_model, "two", tmp_path / "x")
        return
    with pytest.raises(ModelError, match="differs from PyTorch"):
        export_model(tiny_model, "two", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_an_export_without_its_library_is_marked_unchecked(
    tiny_model: Model, tmp_path: Path, as_two: dict[str, Any]
) -> None:
    as_two.update(alpha=1.0, unchecked="Core ML runs on a Mac only")
    paths, verdict = export_model(tiny_model, "two", tmp_path / "x")
    assert verdict == "Core ML runs on a Mac only"
    assert all(path.is_file() for path in paths)


@pytest.mark.usefixtures("as_two")
def test_exports_are_replaced_on_request_only(tiny_model: Model, tmp_path: Path) -> None:
    (tmp_path / "x.refiner.two").write_text("mine")
    with pytest.raises(OutputError, match=r"x\.refiner\.two exists already"):
        export_model(tiny_model, "two", tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x.refiner.two"]
    assert (tmp_path / "x.refiner.two").read_text() == "mine"
    export_model(tiny_model, "two", tmp_path / "x", overwrite=True)
    assert (tmp_path / "x.refiner.two").read_bytes() == b"network"
    export_model(tiny_model, "two", tmp_path / "new" / "folder" / "x")
    assert (tmp_path / "new" / "folder" / "x.refiner.two").read_bytes() == b"network"


def test_folders_are_replaced_only_if_they_are_models(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_model: Model, path: Path, _wish: ExportOptions) -> Exported:
        path.mkdir()
        (path / "assets").mkdir()
        (path / "assets" / "cleanplate.json").write_text("{}")
        (path / "saved_model.pb").write_text("new")
        return Exported([path], lambda *_: (np.zeros(0), np.zeros(0)), unchecked="it is a test")  # type: ignore[arg-type,return-value]

    monkeypatch.setattr("cleanplate.export.onnx_export.write_folder", write, raising=False)
    kind = ExportFormat("", "folder", ("onnx_export", "write_folder"), ("torch",), "export")
    monkeypatch.setitem(formats.FORMATS, "folder", kind)
    target = tmp_path / "model"
    target.mkdir()
    (target / "diary.txt").write_text("dear")
    with pytest.raises(OutputError, match="a folder, and no exported model"):
        export_model(tiny_model, "folder", target, overwrite=True)
    assert (target / "diary.txt").read_text() == "dear"
    (target / "diary.txt").rename(target / "saved_model.pb")
    with pytest.raises(OutputError, match="a folder, and no exported model"):
        export_model(tiny_model, "folder", target, overwrite=True)  # file of another program
    (target / "assets").mkdir()
    (target / "assets" / "cleanplate.json").write_text("{}")
    with pytest.raises(OutputError, match="exists already"):
        export_model(tiny_model, "folder", target)
    (target / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="a folder, and no exported model"):
        export_model(tiny_model, "folder", target, overwrite=True)
    (target / "notes.txt").unlink()
    export_model(tiny_model, "folder", target, overwrite=True)
    assert (target / "saved_model.pb").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_unsupported_models_of_a_format_are_refused(
    tiny_model: Model, tiny_recurrent_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OptionError, match="Unknown format 'gif'") as caught:
        export_model(tiny_model, "gif", tmp_path / "x")
    assert "onnx" in caught.value.hint
    plain = ExportFormat(".p", "plain", ("onnx_export", "nothing"), ("no_such_library",), "export")
    monkeypatch.setitem(formats.FORMATS, "plain", plain)
    with pytest.raises(OptionError, match="single file cannot be written as plain"):
        export_model(tiny_model, "plain", tmp_path / "x", ExportOptions(single_file=True))
    with pytest.raises(OptionError, match="works without a plate, cannot be written as plain"):
        export_model(tiny_recurrent_model, "plain", tmp_path / "x")
    with pytest.raises(MissingExtraError, match="Writing plain"):
        export_model(tiny_model, "plain", tmp_path / "x")


def test_the_parity_pair_is_a_photo_at_any_size(tiny_model: Model) -> None:
    source, plate = read_pair()
    assert source.shape == plate.shape == (360, 640, 3)
    changed = np.abs(source.astype(int) - plate).mean(axis=-1) > 20
    assert 0.05 < changed.mean() < 0.5
    assert read_pair((90, 160))[1].shape == (90, 160, 3)
    alpha, foreground = key_with(
        open_runtime(tiny_model, "onnx", "cpu"), source[:90, :111], plate[:90, :111], None, Refine("full")
    )
    assert alpha.shape == (90, 111)
    assert foreground.shape == (90, 111, 3)
    assert 0 <= foreground.min() <= foreground.max() <= 1


def test_the_difference_is_the_largest_deviation() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[:50] = 1
    colour = np.full((100, 100, 3), 0.5, np.float32)
    off_colour = colour.copy()
    off_colour[50:] = 0  # colour is arbitrary where alpha is 0 in both
    same = measure_difference((alpha, off_colour), (alpha, colour), 1e-4)
    assert (same.alpha, same.foreground, same.passes) == (0, 0, True)
    off_colour[:10] += 0.25
    different = measure_difference((alpha, off_colour), (alpha, colour), 1e-4)
    assert different.foreground == pytest.approx(0.25)
    assert different.mean_foreground == pytest.approx(0.05)
    assert not different.passes
    assert not measure_difference((alpha[:50], colour[:50]), (alpha, colour), 1).passes

"""int8: written files, refused options, and the embedded model."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleanplate import Keyer
from cleanplate.cli import main
from cleanplate.errors import ModelError, OptionError
from cleanplate.evaluation.calibration import rehearse
from cleanplate.evaluation.cases import CaseWriter, read_cases
from cleanplate.export.export_options import Exported, ExportOptions, Seen
from cleanplate.export.parity import MEAN_BOUNDS, check_export, key_with, measure_difference, read_pair
from cleanplate.export.quantisation import fold_relus, list_float, quantise_files
from cleanplate.export.value_ranges import LEAST_WIDTH, find_range, measure_ranges
from cleanplate.export.write import export_model
from cleanplate.media import read_image
from cleanplate.models.config import FINER
from cleanplate.models.model_manifest import MANIFEST
from cleanplate.models.registry import Model, find_model
from cleanplate.router import Refine
from cleanplate.router.layout import lay_out
from cleanplate.runtimes import open_runtime

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def folder_of_cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("calibration")
    source, plate = read_pair((180, 320))
    with CaseWriter(folder, {}, overwrite=True) as cases:
        for number, (top, left) in enumerate(((0, 0), (20, 60))):
            crop = np.s_[top : top + 160, left : left + 256]
            cases.add(f"{number:04d}", source[crop], plate[crop], np.zeros((160, 256), np.uint8))
    return folder


@pytest.fixture
def tiny(
    tiny_model: Model, tiny_network: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Model:
    """The tiny model, registered for PyTorch and the exporter."""
    request.getfixturevalue("torch_loads_tiny")
    monkeypatch.setattr("cleanplate.export.onnx_export.load_network", lambda _: copy.deepcopy(tiny_network))
    return tiny_model


@pytest.mark.slow
def test_convolutions_become_int8(tiny: Model, folder_of_cases: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    cases = read_cases(folder_of_cases)
    options = ExportOptions(calibrate=lambda: rehearse(tiny, cases))
    paths, difference = export_model(tiny, "onnx", tmp_path / "small", options)
    assert [path.name for path in paths] == ["small.coarse.onnx", "small.refiner.onnx"]
    assert sorted(tmp_path.iterdir()) == paths
    for path, convolutions in zip(paths, (2, 4), strict=True):
        network = onnx.load(path)
        kernels = [
            x for x in network.graph.initializer if x.data_type == onnx.TensorProto.INT8 and len(x.dims) == 4
        ]
        assert len(kernels) == convolutions
        record = {entry.key: entry.value for entry in network.metadata_props}
        assert list(record) == ["cleanplate"]
        assert str(tmp_path).encode() not in path.read_bytes()
    model = find_model(tmp_path / "small")
    assert (model.config.name, model.config.version) == ("tiny-int8", "1.0")
    assert "VNNI" in model.config.note
    assert not isinstance(difference, str)
    assert difference.of_means
    assert difference.alpha > 1e-4  # it is not a float network
    assert str(difference).startswith("mean difference from PyTorch")
    fixed, _ = export_model(
        tiny, "onnx", tmp_path / "fixed", ExportOptions(size=(96, 128), calibrate=options.calibrate)
    )
    shape = onnx.load(fixed[0]).graph.input[0].type.tensor_type.shape
    assert all(axis.dim_value > 0 for axis in shape.dim)


def test_calibration_records_the_inputs_of_the_keyer(tiny_model: Model, folder_of_cases: Path) -> None:
    auto, fine, *others = rehearse(tiny_model, read_cases(folder_of_cases))
    assert len(others) == 2
    for seen, finer in ((auto, 1.0), (fine, FINER)):
        (feed,) = seen.coarse
        assert feed["source"].shape[1] == 3
        assert feed["plate"].shape[1] == 4
        assert feed["source"].shape[2:] == feed["plate"].shape[2:]
        size = lay_out(tiny_model.config, 160, 256, finer=finer).coarse_size
        assert all(side <= limit for side, limit in zip(feed["source"].shape[2:], size, strict=True))
        assert 0 <= feed["source"].min() < feed["source"].max() <= 1
        assert set(np.unique(feed["plate"][:, 3])) <= {0.0, 1.0}
        assert seen.refiner
        for windows in seen.refiner:
            assert windows["half"].shape[1] == 13
            assert windows["full"].shape[1] == 6
    assert auto.coarse[0]["source"].size < fine.coarse[0]["source"].size


def test_a_rare_large_value_does_not_stretch_the_range() -> None:
    values = np.abs(np.random.default_rng(1).normal(size=20_000)).astype(np.float32)
    low, high = find_range(values, 0, 12)
    assert low == 0
    assert 2.5 < high < 5
    even = np.linspace(-2, 1, 5000, dtype=np.float32)
    assert find_range(even, -2, 1) == pytest.approx((-2, 1))
    assert find_range(np.zeros(10, np.float32), 0, 0) == (0, LEAST_WIDTH)


def test_ranges_are_measured_at_inputs_and_inside(tiny_model: Model) -> None:
    onnx = pytest.importorskip("onnx")
    assert tiny_model.refiner_onnx is not None
    network = onnx.load(tiny_model.refiner_onnx)
    relu = next(node for node in network.graph.node if node.op_type == "Relu")
    windows = {
        "half": np.full((1, 13, 14, 14), 0.5, np.float32),
        "full": np.full((1, 6, 20, 20), 0.25, np.float32),
    }
    ranges = measure_ranges(network, ["full", relu.input[0], relu.output[0]], [windows])
    assert ranges["full"] == pytest.approx((0, 0.25))
    assert ranges[relu.input[0]][0] < 0
    assert ranges[relu.output[0]][0] == 0
    assert all(output.name == "refined" for output in network.graph.output)


def test_int8_needs_no_relu_behind_a_convolution(tiny_model: Model, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    random = np.random.default_rng(3)
    shapes = ("source", 3), ("plate", 4)
    pictures = {name: random.random((1, count, 32, 48), np.float32) for name, count in shapes}
    assert tiny_model.coarse_onnx is not None
    network = onnx.load(tiny_model.coarse_onnx)
    convolution, _ = (node for node in network.graph.node if node.op_type == "Conv")
    assert len(fold_relus(network, []).graph.node) == len(network.graph.node) - 1
    assert fold_relus(network, [convolution.name]) == network
    path = tmp_path / "tiny.coarse.onnx"
    path.write_bytes(tiny_model.coarse_onnx.read_bytes())
    quantise_files([path], tiny_model.config, lambda: [Seen([pictures], [])])
    assert [node.op_type for node in onnx.load(path).graph.node].count("Relu") == 1  # of the hidden features
    sessions = [
        ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        for file in (tiny_model.coarse_onnx, path)
    ]
    for found, expected in zip(*(session.run(None, pictures) for session in reversed(sessions)), strict=True):
        assert np.abs(found - expected).mean() < 0.02 * max(np.abs(expected).max(), 0.1)


def test_the_convolutions_of_lite_that_stay_float_are_in_its_file() -> None:
    onnx = pytest.importorskip("onnx")
    lite = find_model("lite")
    assert lite.coarse_onnx is not None
    assert len(list_float(onnx.load(lite.coarse_onnx), lite.config)) == 2


@pytest.mark.slow
def test_calibration_without_inputs_is_refused(tiny: Model, tmp_path: Path) -> None:
    def see_nothing() -> Iterator[Seen]:
        yield Seen([], [])

    with pytest.raises(ModelError, match="give no input to the coarse"):
        export_model(tiny, "onnx", tmp_path / "x", ExportOptions(calibrate=see_nothing))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("to", "options", "message"), [
    ("torchscript", {}, "int8 cannot be written as torchscript"),
    ("tflite", {}, "int8 cannot be written as tflite"),
    ("onnx", {"single_file": True}, "single file cannot be written in int8"),
    ("onnx", {"half": True}, "exclude each other"),
])  # fmt: skip
def test_int8_is_refused_for_other_formats(
    tiny_model: Model, tmp_path: Path, to: str, options: Any, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        export_model(tiny_model, to, tmp_path / "x", ExportOptions(**options, calibrate=list))


def test_int8_needs_a_model_with_a_plate(tiny_recurrent_model: Model, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="works without a plate, cannot be written in int8"):
        export_model(tiny_recurrent_model, "onnx", tmp_path / "x", ExportOptions(calibrate=list))


@pytest.mark.parametrize(("options", "sentence"), [
    (["--int8"], "--int8 needs pictures"),
    (["--calibrate", "cases"], "--calibrate is for int8"),
    (["--int8", "--calibrate", "nowhere"], "There is no folder nowhere"),
    (["--list", "--single-file"], "--list works only for"),
])  # fmt: skip
def test_contradicting_options_are_refused(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "lite", "--to", "onnx", *options]) == 2
    assert sentence in capsys.readouterr().err


def test_parity_of_int8_compares_means(tiny: Model) -> None:
    alpha = np.full((100, 100), 0.5, np.float32)
    colour = np.full((100, 100, 3), 0.5, np.float32)
    off = alpha.copy()
    off[:10] += 0.05
    assert measure_difference((off, colour), (alpha, colour), 1e-2, of_means=True).passes
    assert not measure_difference((off, colour), (alpha, colour), 1e-2).passes
    assert not measure_difference((off + 0.02, colour), (alpha, colour), 1e-2, of_means=True).passes
    pair = key_with(open_runtime(tiny, "onnx", "cpu"), *read_pair(), None, Refine("full"))
    shifted = Exported([], lambda *_: (pair[0] + np.float32(2 * MEAN_BOUNDS["int8"]), pair[1]), "int8")
    with pytest.raises(ModelError, match="on average"):
        check_export(tiny, ExportOptions(), shifted)


def test_the_shipped_int8_belongs_to_the_shipped_lite() -> None:
    ours, model = find_model("lite"), find_model("lite-int8")
    assert model.weights is None
    assert model.config.version == ours.config.version, (
        "made of another lite: docs/lite-int8.md has the recipe"
    )
    assert model.coarse_onnx is not None
    assert ours.coarse_onnx is not None
    assert model.coarse_onnx.stat().st_size < 0.4 * ours.coarse_onnx.stat().st_size
    runtime = open_runtime(model, "onnx", "cpu")
    exported = Exported(
        [], lambda source, plate: key_with(runtime, source, plate, None, Refine("full")), "int8"
    )
    assert check_export(ours, ExportOptions(), exported).passes


def test_the_shipped_int8_keys_the_sample() -> None:
    photo, plate = (read_image(SAMPLES / name).pixels for name in ("photo.jpg", "plate.jpg"))
    truth = read_image(SAMPLES / "photo_alpha.png").pixels[..., 0] / 255
    alphas = [Keyer(plate, model=name, runtime="onnx")(photo).alpha for name in ("lite", "lite-int8")]
    assert np.abs(alphas[1] - alphas[0]).mean() < MEAN_BOUNDS["int8"]
    errors = [np.abs(alpha - truth).mean() for alpha in alphas]
    assert errors[1] < 1.25 * errors[0]


@pytest.mark.slow
@pytest.mark.long
def test_an_exported_int8_is_added_to_a_folder_of_models(
    tmp_path: Path, folder_of_cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "lite", "--to", "onnx", "--int8", "--calibrate", str(folder_of_cases), "--list"]
    (tmp_path / "lite-int8.coarse.onnx").write_bytes(b"an older one")
    assert main([*command, "-o", str(tmp_path / "lite-int8"), "--overwrite"]) == 0
    assert "mean difference" in capsys.readouterr().err
    listed = json.loads((tmp_path / MANIFEST).read_text())["models"]
    assert list(listed) == ["lite-int8"]
    assert find_model("lite-int8", embedded=tmp_path).config.version == find_model("lite").config.version

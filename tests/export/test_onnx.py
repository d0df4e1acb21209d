"""ONNX files compared with PyTorch: a small network for all cases, BGMv2 for one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

from cleanplate.errors import ModelError, OutputError  # noqa: E402
from cleanplate.export import onnx_export as export  # noqa: E402
from cleanplate.models.config import ModelConfig  # noqa: E402
from cleanplate.models.network_builder import build_network  # noqa: E402
from cleanplate.models.networks.blocks import JoinedConvolution, upsample_to  # noqa: E402
from cleanplate.models.networks.refiner import Refiner  # noqa: E402
from cleanplate.models.official import bgmv2_config  # noqa: E402
from cleanplate.models.records import read_config  # noqa: E402
from cleanplate.models.registry import find_model  # noqa: E402

CONFIG = ModelConfig(
    name="tiny",
    version="1.0",
    family="lite",
    backbone=None,
    refiner_kernel=3,
    hidden_channels=12,
    coarse_output_stride=2,
    size_multiple=4,
    shrink="area",
    plate_channels=4,
    target_long_side=640,
    refine="threshold:0.1",
    licence="MIT",
    source="tests",
)


class TinyCoarse(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(7, 18, 3, 2, 1, bias=False),
            torch.nn.BatchNorm2d(18),
            torch.nn.ReLU6(inplace=True),
        )
        self.deep = torch.nn.Conv2d(18, 24, 3, 2, 1)
        self.head = JoinedConvolution((24, 18), 17, 3, padding=1)

    def forward(self, source, plate):
        half = self.stem(torch.cat([source, plate], dim=1))
        x = self.head(upsample_to(self.deep(half), half), half)
        return x[:, :1].clamp(0, 1), x[:, 1:4], x[:, 4:5].clamp(0, 1), x[:, 5:].relu()


class TinyNetwork(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.coarse = TinyCoarse()
        self.refiner: Refiner | None = Refiner(12, (16, 16, 8, 4), normalisation=True)


def set_batch_norms(network):
    """Set statistics of batch norms, so that folding changes the weights."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values, low, high in (
                (module.weight, 0.7, 1.3),
                (module.bias, -0.2, 0.2),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.7, 1.3),
            ):
                torch.nn.init.uniform_(values, low, high)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tiny():
    return set_batch_norms(TinyNetwork())


@pytest.fixture(scope="module")
def files(tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    coarse, refiner = export.export_onnx(tiny, CONFIG, tmp_path_factory.mktemp("export") / "tiny")
    assert refiner is not None
    return coarse, refiner


def run(path: Path, *inputs) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [argument.name for argument in session.get_inputs()]
    return session.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})


@pytest.mark.parametrize("size", [(1, 32, 32), (3, 36, 100)])
def test_coarse_file_gives_pytorchs_numbers(
    files: tuple[Path, Path], tiny, size: tuple[int, int, int]
) -> None:
    source, plate = export.coarse_inputs(CONFIG, *size, seed=7)
    for array, tensor in zip(run(files[0], source, plate), tiny.coarse(source, plate), strict=True):
        np.testing.assert_allclose(array, tensor.numpy(), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 4, 4), (5, 12, 32)])
def test_refiner_file_gives_pytorchs_numbers(
    files: tuple[Path, Path], tiny, size: tuple[int, int, int]
) -> None:
    half, full = export.refiner_inputs(CONFIG, *size, seed=7)
    np.testing.assert_allclose(run(files[1], half, full)[0], tiny.refiner(half, full).numpy(), atol=1e-5)


def test_files_hold_names_and_record_only(files: tuple[Path, Path]) -> None:
    for path, inputs, outputs in (
        (files[0], ["source", "plate"], ["alpha", "residual", "error", "hidden"]),
        (files[1], ["half", "full"], ["refined"]),
    ):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        assert [argument.name for argument in session.get_inputs()] == inputs
        assert [argument.name for argument in session.get_outputs()] == outputs
        assert session.get_modelmeta().custom_metadata_map == {"cleanplate": CONFIG.to_json()}
        assert read_config(path) == CONFIG
        operators = {node.op_type for node in onnx.load(path).graph.node}
        assert "BatchNormalization" not in operators
        assert b".py" not in path.read_bytes()
    assert find_model(files[0].with_name("tiny")).config == CONFIG


@pytest.mark.slow
def test_equal_networks_give_equal_bytes_and_are_not_changed(
    files: tuple[Path, Path], tiny, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in tiny.state_dict().items()}
    again = export.export_onnx(tiny, CONFIG, tmp_path / "again")
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again if path]
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny.state_dict().items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.coarse.onnx", "again.refiner.onnx"]


@pytest.mark.slow
def test_a_network_without_refiner_is_exported(tmp_path: Path) -> None:
    network = set_batch_norms(TinyNetwork())
    network.refiner = None
    config = dataclasses.replace(CONFIG, refiner_kernel=None, refine="off")
    coarse, refiner = export.export_onnx(network, config, tmp_path / "coarse-only")
    assert refiner is None
    model = find_model(coarse)
    assert model.coarse_onnx == coarse
    assert model.refiner_onnx is None


def test_a_difference_is_an_error_and_leaves_no_file(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrange = export.arrange_for_inference

    def spoil(network):
        arranged = arrange(network)
        arranged.coarse.head.convolutions[0].bias[2] += 0.01
        return arranged

    monkeypatch.setattr(export, "arrange_for_inference", spoil)
    with pytest.raises(ModelError, match="coarse network of 'tiny' differs"):
        export.export_onnx(tiny, CONFIG, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_an_unusable_folder_is_refused(tiny, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        export.export_onnx(tiny, CONFIG, tmp_path / "file" / "x")


@pytest.mark.slow
@pytest.mark.long
def test_bgmv2_at_odd_sizes(tmp_path: Path) -> None:
    config = bgmv2_config("mobilenetv2")
    network = set_batch_norms(build_network(config))
    coarse, refiner = export.export_onnx(network, config, tmp_path / "mobilenetv2")
    assert refiner is not None
    for size in ((1, 33, 47), (2, 64, 80), (1, 135, 61)):
        source, plate = export.coarse_inputs(config, *size, seed=9)
        for array, tensor in zip(run(coarse, source, plate), network.coarse(source, plate), strict=True):
            np.testing.assert_allclose(array, tensor.numpy(), atol=1e-4)
    half, full = export.refiner_inputs(config, 4, 8, 20, seed=9)
    np.testing.assert_allclose(run(refiner, half, full)[0], network.refiner(half, full).numpy(), atol=1e-4)

"""Official checkpoints and safetensors, to networks and back."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from cleanplate.errors import ModelError, OutputError  # noqa: E402
from cleanplate.models.load import load_network, save_model  # noqa: E402
from cleanplate.models.network_builder import build_network  # noqa: E402
from cleanplate.models.official import bgmv2_config, load_official  # noqa: E402
from cleanplate.models.registry import Model, find_model  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network(bgmv2_config("mobilenetv2")).eval()


@pytest.fixture
def checkpoint(tmp_path: Path, network) -> Path:
    path = tmp_path / "pytorch_mobilenetv2.pth"
    torch.save(network.state_dict(), path)
    return path


def assert_same(network, other) -> None:
    expected = network.state_dict()
    assert list(other.state_dict()) == list(expected)
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize(
    ("backbone", "kernel"), [("mobilenetv2", 3), ("mobilenetv2", 1), ("mobilenetv2", None)]
)
def test_checkpoint_is_recognised(tmp_path: Path, backbone: str, kernel: int | None) -> None:
    path = tmp_path / "weights.pth"
    expected = build_network(bgmv2_config(backbone, kernel))
    torch.save(expected.state_dict(), path)
    model = find_model(path)
    assert model.config == bgmv2_config(backbone, kernel)
    assert model.weights == path
    loaded = load_network(model)
    assert not loaded.training
    assert_same(expected, loaded)


@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
def test_larger_checkpoints_are_recognised(tmp_path: Path, backbone: str) -> None:
    with torch.device("meta"):
        shapes = {
            name: tensor.shape for name, tensor in build_network(bgmv2_config(backbone)).state_dict().items()
        }
    # One stored number per tensor keeps the file small.
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}, tmp_path / "x.pth")
    config, state = load_official(tmp_path / "x.pth")
    assert config == bgmv2_config(backbone)
    assert len(state) == len(shapes)


def test_safetensors_survive_the_round_trip(tmp_path: Path, network) -> None:
    path = tmp_path / "mine.safetensors"
    config = bgmv2_config("mobilenetv2", name="mine")
    save_model(network, config, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.safetensors"]
    model = find_model(path)
    assert model.config == config
    assert_same(network, load_network(model))
    first = path.read_bytes()
    save_model(network, config, path)
    assert path.read_bytes() == first


def test_damaged_safetensors_are_refused(tmp_path: Path, network) -> None:
    path = tmp_path / "mine.safetensors"
    save_model(network, bgmv2_config("mobilenetv2"), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="damaged"):
        find_model(path)
    path.write_bytes(content.replace(b'"F32"', b'"F99"'))
    with pytest.raises(ModelError, match="damaged"):
        load_network(Model(bgmv2_config("mobilenetv2"), weights=path))


def test_a_network_with_another_record_is_not_saved(tmp_path: Path, network) -> None:
    with pytest.raises(ModelError, match="no complete 'resnet50' model"):
        save_model(network, bgmv2_config("resnet50"), tmp_path / "x.safetensors")
    with pytest.raises(OutputError, match="nowhere"):
        save_model(network, bgmv2_config("mobilenetv2"), tmp_path / "nowhere" / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.pop("aspp.convs.1.0.weight"), r"aspp\.convs\.1\.0\.weight missing"),
        (lambda state: state.update(extra=torch.zeros(1)), "does not have: extra"),
        (
            lambda state: state.update({"refiner.conv2.weight": torch.zeros(16, 24, 5, 5)}),
            r"has shape \(16, 24, 5, 5\)",
        ),
        (
            lambda state: state["decoder.bn1.bias"].fill_(float("nan")),
            r"decoder\.bn1\.bias holds values that are not",
        ),
        (lambda state: state.update({"refiner.conv1.weight": torch.zeros(24, 42, 7, 7)}), "kernel of 7"),
        (lambda state: state.pop("decoder.conv4.weight"), "another network"),
    ],
)
def test_an_error_names_wrong_tensors(tmp_path: Path, network, change, sentence: str) -> None:
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    change(state)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=sentence):
        load_official(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"model": {"w": 1}, "epoch": 3}, "holds: model, epoch"),
        ([1, 2], "holds: list"),
        ({"conv.weight": torch.zeros(1)}, r"another network: 1 tensors such as conv\.weight"),
        ({}, "another network"),
    ],
)
def test_other_checkpoints_are_described(tmp_path: Path, content: object, sentence: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=sentence):
        load_official(tmp_path / "x.pth")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("exploded",))


def test_nothing_is_unpickled_but_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Bomb()}, "bomb.pth")
    for name in ("plain.pth", "plain.pt", "plain.safetensors"):
        Path(name).write_bytes(pickle.dumps(Bomb()))
    for name in ("bomb.pt", "bomb.safetensors"):
        Path(name).write_bytes(Path("bomb.pth").read_bytes())
    for name in ("bomb.pth", "bomb.pt", "plain.pth", "plain.pt"):
        with pytest.raises(ModelError, match="was not loaded"):
            find_model(name)
    for name in ("bomb.safetensors", "plain.safetensors"):
        with pytest.raises(ModelError, match=name):
            find_model(name)
    assert not Path("exploded").exists()


def test_a_torchscript_archive_is_named(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "torchscript.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (
            ("x/constants.pkl", b""),
            ("x/version", b"3\n"),
            ("x/data.pkl", b""),
            ("x/code/a.py", b""),
        ):
            archive.writestr(name, content)
    with pytest.raises(ModelError, match="TorchScript archive"):
        load_official(path)


def test_a_damaged_checkpoint_is_refused(checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    middle = len(content) // 2
    for damaged in (b"", b"\0" * 100, b"hello", content[:middle], content[:-40], content[200:], content[:50]):
        checkpoint.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"pytorch_mobilenetv2\.pth'"):
            load_official(checkpoint)
    checkpoint.unlink()
    with pytest.raises(ModelError, match="There is no model file"):
        load_official(checkpoint)


def test_half_precision_checkpoint_becomes_single(tmp_path: Path, network) -> None:
    torch.save(
        {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()},
        tmp_path / "h.pt",
    )
    _, state = load_official(tmp_path / "h.pt")
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights for PyTorch"):
        load_network(Model(bgmv2_config("mobilenetv2"), coarse_onnx=tmp_path / "x.onnx"))

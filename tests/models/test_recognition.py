"""Recognition of checkpoints: RVM, BGMv2, or another kind of network."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from cleanplate.errors import ModelError  # noqa: E402
from cleanplate.models.config import ModelConfig  # noqa: E402
from cleanplate.models.load import load_network  # noqa: E402
from cleanplate.models.network_builder import build_network  # noqa: E402
from cleanplate.models.official import load_official, rvm_config  # noqa: E402
from cleanplate.models.registry import find_model  # noqa: E402


def make_empty_state(config: ModelConfig) -> dict[str, object]:
    """A state dict of the right names and shapes; one stored number per tensor keeps its file small."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in build_network(config).state_dict().items()}
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("backbone", ["mobilenetv3", "resnet50"])
@pytest.mark.parametrize("guided_filter", ["deep", "fast"])
def test_rvm_is_recognised(tmp_path: Path, backbone: str, guided_filter: str) -> None:
    path = tmp_path / "rvm.pth"
    torch.save(make_empty_state(rvm_config(backbone, guided_filter)), path)
    model = find_model(path)
    assert model.config == rvm_config(backbone, guided_filter)
    assert not model.config.needs_plate
    assert model.config.licence == "GPL-3.0-only"
    assert not load_network(model).training


def test_a_record_of_rvm_comes_back_from_json() -> None:
    config = rvm_config("resnet50", "fast", name="mine")
    assert ModelConfig.from_json(config.to_json(), "here") == config
    with pytest.raises(ModelError, match="guided_filter"):
        ModelConfig(**{**vars(config), "guided_filter": None})
    with pytest.raises(ModelError, match="plate_channels"):
        ModelConfig(**{**vars(config), "plate_channels": 3})
    with pytest.raises(ModelError, match="backbone"):
        ModelConfig(**{**vars(config), "backbone": "mobilenetv2"})


def test_a_missing_or_wrong_tensor_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rvm.pth"
    state = make_empty_state(rvm_config("mobilenetv3"))
    torch.save({name: value for name, value in state.items() if "decode2.gru.hh" not in name}, path)
    with pytest.raises(ModelError, match=r"no complete 'rvm-mobilenetv3' model: decoder\.decode2\.gru\.hh"):
        load_official(path)
    torch.save({**state, "project_mat.conv.bias": torch.zeros(5)}, path)
    with pytest.raises(ModelError, match=r"project_mat\.conv\.bias has shape \(5,\), expected \(4,\)"):
        load_official(path)


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["conv1.weight", "layer1.0.conv1.weight", "fc.weight"], "an image classifier"),
        (["features.0.0.weight", "classifier.1.weight"], "an image classifier"),
        (["backbone.conv1.weight", "classifier.0.convs.0.0.weight", "classifier.4.weight"], "DeepLabV3"),
        (["backbone.low_level_features.0.0.weight", "classifier.classifier.3.weight"], r"DeepLabV3\+"),
        (["generator.weight"], "1 tensors such as generator.weight"),
    ],
)
def test_checkpoints_of_other_projects_are_named(tmp_path: Path, names: list[str], what: str) -> None:
    path = tmp_path / "other.pth"
    torch.save({name: torch.zeros(1) for name in names}, path)
    with pytest.raises(ModelError, match=f"another network: .*{what}") as caught:
        load_official(path)
    assert "rvm_mobilenetv3.pth" in caught.value.hint


def test_a_torchscript_archive_is_a_checkpoint(tmp_path: Path) -> None:
    class Holder(torch.nn.Module):
        """Holds tensors under given names, as a scripted network does."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    holder = Holder()
    torch.manual_seed(0)
    expected = build_network(rvm_config("mobilenetv3")).state_dict()
    for name, value in expected.items():
        place = holder
        *folders, last = name.split(".")
        for folder in folders:
            if not hasattr(place, folder):
                place.add_module(folder, Holder())
            place = getattr(place, folder)
        place.register_buffer(last, value)
    path = tmp_path / "rvm.torchscript"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(holder, torch.zeros(1)).save(str(path))
    model = find_model(path)
    assert model.config == rvm_config("mobilenetv3")
    for name, tensor in load_network(model).state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_a_frozen_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frozen.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.freeze(torch.jit.script(torch.nn.Linear(2, 2).eval())).save(str(path))
    with pytest.raises(ModelError, match="without parameters: it was frozen"):
        load_official(path)


def test_an_error_of_a_training_checkpoint_names_the_publish_command(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    torch.save({"format": 2, "average": {"weight": torch.zeros(1)}, "preset": "lite", "step": 9}, path)
    with pytest.raises(ModelError, match="checkpoint of a training run, not a model yet") as refused:
        find_model(path)
    assert refused.value.hint == f"make one: cleanplate publish {path} -o models --version 1.0"

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from cleanplate.errors import ModelError  # noqa: E402
from cleanplate.models.backbones import load_pretrained  # noqa: E402
from cleanplate.models.network_builder import build_network  # noqa: E402
from cleanplate.models.official import bgmv2_config, rvm_config  # noqa: E402


def network(backbone, seed):
    torch.manual_seed(seed)
    return build_network(bgmv2_config(backbone))


def make_foreign_state(backbone, parts, rename):
    """Make a foreign state dict: three input channels, other names, additional weights."""
    state = {}
    for name, tensor in network(backbone, 1).state_dict().items():
        if name.startswith(parts):
            small = tensor[:, :3] if tensor.ndim == 4 and tensor.shape[1] == 6 else tensor
            state[rename(name)] = small.clone()
    return {**state, "fc.weight": torch.zeros(10, 4)}


@pytest.mark.parametrize(
    ("backbone", "parts", "rename", "wrap"),
    [
        ("resnet50", ("backbone.",), lambda n: n.removeprefix("backbone."), False),
        ("mobilenetv2", ("backbone.",), lambda n: n.removeprefix("backbone."), False),
        ("resnet50", ("backbone.", "aspp."), lambda n: n.replace("aspp.", "classifier.0."), False),
        (
            "mobilenetv2",
            ("backbone.", "aspp."),
            lambda n: n.replace("aspp.", "classifier.classifier.0.").replace(
                "features.", "high_level_features."
            ),
            True,
        ),
    ],
)
def test_weights_of_trained_backbones_are_loaded(tmp_path, backbone, parts, rename, wrap):
    state = make_foreign_state(backbone, parts, rename)
    torch.save({"model_state": state, "epoch": 3} if wrap else state, tmp_path / "x.pth")
    mine, reference = network(backbone, 2), network(backbone, 1)
    expected = reference.state_dict()
    assert load_pretrained(tmp_path / "x.pth", mine) == len(state) - 1
    for name, tensor in mine.state_dict().items():
        if not name.startswith(parts):
            continue
        if tensor.ndim == 4 and tensor.shape[1] == 6:
            assert torch.equal(tensor[:, :3], expected[name][:, :3])
            assert not tensor[:, 3:].any()
        else:
            assert torch.equal(tensor, expected[name]), name


def test_weights_of_a_classifier_start_a_recurrent_network(tmp_path):
    networks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        networks.append(build_network(rvm_config("mobilenetv3")))
    reference, mine = networks
    state = {f"backbone.{name}": tensor for name, tensor in reference.backbone.state_dict().items()}
    classifier = {name.removeprefix("backbone."): tensor for name, tensor in state.items()}
    torch.save({**classifier, "classifier.0.weight": torch.zeros(4, 4)}, tmp_path / "x.pth")
    assert load_pretrained(tmp_path / "x.pth", mine) == len(state)
    assert all(torch.equal(mine.state_dict()[name], tensor) for name, tensor in state.items())


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "r50.pth"
    torch.save(make_foreign_state("resnet50", ("backbone.",), lambda n: n.removeprefix("backbone.")), path)
    with pytest.raises(ModelError, match=r"r50\.pth' does not fit this backbone: .* is missing"):
        load_pretrained(path, network("mobilenetv2", 0))
    state = torch.load(path, weights_only=True)
    state["layer1.0.conv1.weight"] = torch.zeros(1, 2, 3, 3)
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"layer1\.0\.conv1\.weight has shape \(1, 2, 3, 3\)"):
        load_pretrained(path, network("resnet50", 0))


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_other_files_are_refused_as_state_dicts(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(ModelError, match="There is no model file"):
        load_pretrained(path, network("mobilenetv2", 0))
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="damaged"):
        load_pretrained(path, network("mobilenetv2", 0))
    torch.save({"epoch": 3}, tmp_path / "y.pth")
    with pytest.raises(ModelError, match="no tensors"):
        load_pretrained(tmp_path / "y.pth", network("mobilenetv2", 0))

"""The user's own models: added, found by name, checked, removed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from cleanplate.errors import ModelError, OutputError  # noqa: E402
from cleanplate.models.added_models import add_model, list_model, remove_model  # noqa: E402
from cleanplate.models.load import load_network, save_model  # noqa: E402
from cleanplate.models.network_builder import build_network  # noqa: E402
from cleanplate.models.official import bgmv2_config  # noqa: E402
from cleanplate.models.registry import find_model, list_models  # noqa: E402


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLEANPLATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network(bgmv2_config("mobilenetv2", None)).eval()


@pytest.fixture
def checkpoint(tmp_path: Path, network) -> Path:
    path = tmp_path / "coarse.pth"
    torch.save(network.state_dict(), path)
    return path


def test_a_checkpoint_becomes_a_name(checkpoint: Path, network, home: Path) -> None:
    model = add_model(checkpoint)
    assert model.config == bgmv2_config("mobilenetv2", None)
    assert sorted(entry.name for entry in (home / "models").iterdir()) == [
        "manifest.json",
        "mobilenetv2.safetensors",
    ]
    checkpoint.unlink()
    found = find_model("mobilenetv2")
    assert found == model
    for name, tensor in load_network(found).state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name
    assert list_models() == ["lite", "lite-int8", "mobilenetv2"]


def test_names_of_models_are_checked(checkpoint: Path) -> None:
    assert add_model(checkpoint, "mine").config.name == "mine"
    add_model(checkpoint)
    with pytest.raises(ModelError, match="There is a model 'mine' already"):
        add_model(checkpoint, "mine")
    assert add_model(checkpoint, "mine", overwrite=True) == find_model("mine")
    with pytest.raises(ModelError, match="'lite' is the name of a model in the package"):
        add_model(checkpoint, "lite", overwrite=True)
    for name in ("../escaped", "a/b", "x" * 200, "with space", "auto"):
        with pytest.raises(ModelError, match="name"):
            add_model(checkpoint, name)
    assert list_models() == ["lite", "lite-int8", "mine", "mobilenetv2"]


def test_safetensors_files_keep_their_record(tmp_path: Path, network) -> None:
    config = dataclasses.replace(bgmv2_config("mobilenetv2", None), name="trained", note="mine")
    save_model(network, config, tmp_path / "file.safetensors")
    assert add_model(tmp_path / "file.safetensors").config == config


def test_a_damaged_store_is_an_error(checkpoint: Path, home: Path) -> None:
    add_model(checkpoint)
    path = home / "models" / "mobilenetv2.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="its hash is not the listed one") as caught:
        find_model("mobilenetv2")
    assert caught.value.hint == "add it again: cleanplate models add FILE --name mobilenetv2"
    path.unlink()
    with pytest.raises(ModelError, match="is missing"):
        find_model("mobilenetv2")
    add_model(checkpoint, overwrite=True)
    find_model("mobilenetv2")


def test_a_removed_model_is_gone(checkpoint: Path, home: Path) -> None:
    add_model(checkpoint, "one")
    add_model(checkpoint, "two")
    remove_model("one")
    assert list_models() == ["lite", "lite-int8", "two"]
    assert sorted(entry.name for entry in (home / "models").iterdir()) == ["manifest.json", "two.safetensors"]
    with pytest.raises(ModelError, match="There is no model 'one' to remove"):
        remove_model("one")


def test_later_files_are_listed(tiny_recurrent_model, home: Path) -> None:
    add_model(tiny_recurrent_model.weights)
    target = home / "models" / "tiny-rvm.recurrent.onnx"
    target.write_bytes(tiny_recurrent_model.recurrent_onnx.read_bytes())
    model = list_model("tiny-rvm")
    assert model.recurrent_onnx == target
    assert find_model("tiny-rvm") == model
    assert find_model(target).recurrent_onnx == target
    remove_model("tiny-rvm")
    assert not target.exists()


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model file"):
        add_model(tmp_path / "missing.pth")
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(ModelError, match=r"expected \.safetensors"):
        add_model(tmp_path / "x.txt")


def test_an_unusable_home_is_an_error(checkpoint: Path, home: Path) -> None:
    home.write_text("a file is in its place")
    with pytest.raises(OutputError, match="cannot be made"):
        add_model(checkpoint)


def test_a_damaged_list_is_an_error_for_added_models_only(home: Path) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / "manifest.json").write_text("{")
    assert find_model("lite").config.name == "lite"
    with pytest.raises(ModelError, match="is damaged") as caught:
        find_model("mine")
    assert "delete it" in caught.value.hint

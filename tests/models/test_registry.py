from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cleanplate.errors import ModelError
from cleanplate.models.config import ModelConfig
from cleanplate.models.model_manifest import MANIFEST, list_in_manifest
from cleanplate.models.registry import EMBEDDED, find_model, list_models

WriteOnnx = Callable[[Path, "ModelConfig | None"], Path]


@pytest.fixture
def embedded(tmp_path: Path, config: ModelConfig, write_onnx: WriteOnnx) -> Path:
    folder = tmp_path / "embedded"
    folder.mkdir()
    for part in ("coarse", "refiner"):
        write_onnx(folder / f"tiny.{part}.onnx", config)
    list_in_manifest(folder, "tiny")
    return folder


def test_listed_model_is_found_by_name(embedded: Path, config: ModelConfig) -> None:
    assert list_models(embedded) == ["tiny"]
    model = find_model("tiny", embedded=embedded)
    assert model.config == config
    assert model.coarse_onnx == embedded / "tiny.coarse.onnx"
    assert model.refiner_onnx == embedded / "tiny.refiner.onnx"
    assert model.weights is None


def test_every_embedded_model_has_its_files() -> None:
    for name in list_models():
        model = find_model(name)
        assert model.config.name == name
        assert model.coarse_onnx is not None
    assert (EMBEDDED / MANIFEST).is_file()


def test_unknown_name_lists_the_known(embedded: Path) -> None:
    with pytest.raises(ModelError, match=r"Unknown model 'huge'.*tiny, mobilenetv2, resnet50, resnet101"):
        find_model("huge", embedded=embedded)


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet50", "resnet101"])
def test_bgmv2_names_ask_for_a_checkpoint(name: str) -> None:
    with pytest.raises(ModelError, match=rf"model='pytorch_{name}\.pth'"):
        find_model(name)


@pytest.mark.parametrize("path", ["nowhere/x", "x.safetensors", "x.coarse.onnx", "./x", ""])
def test_a_missing_path_is_named(path: str) -> None:
    with pytest.raises(ModelError):
        find_model(path)


@pytest.mark.parametrize("given_as", ["tiny", "tiny.coarse.onnx", "tiny.refiner.onnx"])
def test_files_are_found_by_path(embedded: Path, given_as: str, tmp_path: Path) -> None:
    model = find_model(embedded / given_as, embedded=tmp_path)
    assert model.coarse_onnx == embedded / "tiny.coarse.onnx"
    assert model.refiner_onnx == embedded / "tiny.refiner.onnx"


def test_a_missing_file_of_a_pair_is_named(embedded: Path) -> None:
    (embedded / "tiny.refiner.onnx").unlink()
    with pytest.raises(ModelError, match=r"refiner.*missing"):
        find_model(embedded / "tiny.coarse.onnx")
    with pytest.raises(ModelError, match=r"'.*tiny\.refiner\.onnx' is missing"):
        find_model("tiny", embedded=embedded)


def test_a_pair_of_two_models_is_refused(embedded: Path, config: ModelConfig, write_onnx: WriteOnnx) -> None:
    write_onnx(embedded / "tiny.refiner.onnx", dataclasses.replace(config, version="2.0"))
    with pytest.raises(ModelError, match="records differ"):
        find_model(embedded / "tiny")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:-1] + b"?", lambda data: data + b"\0"]
)
def test_an_embedded_file_with_another_hash_is_refused(
    embedded: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = embedded / "tiny.refiner.onnx"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match=r"tiny\.refiner\.onnx' is damaged"):
        find_model("tiny", embedded=embedded)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 9, "models": {}}', '{"format": 1, "models": {"a": {}}}']
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="list of models"):
        list_models(tmp_path)


def test_manifest_is_not_written_for_wrong_files(
    embedded: Path, config: ModelConfig, write_onnx: WriteOnnx
) -> None:
    before = json.loads((embedded / MANIFEST).read_text())
    with pytest.raises(ModelError, match="no files"):
        list_in_manifest(embedded, "other")
    write_onnx(embedded / "other.coarse.onnx", config)
    with pytest.raises(ModelError, match="name their model 'tiny'"):
        list_in_manifest(embedded, "other")
    assert json.loads((embedded / MANIFEST).read_text()) == before

"""Records read out of files; damaged, wrong and hostile files."""

from __future__ import annotations

import json
import pickle
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.errors import ModelError
from cleanplate.models.config import ModelConfig
from cleanplate.models.records import read_config

WriteOnnx = Callable[[Path, "ModelConfig | None"], Path]


def safetensors(header: object, tensors: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def with_record(config: ModelConfig) -> bytes:
    weight = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return safetensors({"__metadata__": {"cleanplate": config.to_json()}, "w": weight}, bytes(8))


def test_record_is_read_from_both_kinds(tmp_path: Path, config: ModelConfig, write_onnx: WriteOnnx) -> None:
    weights = tmp_path / "m.safetensors"
    weights.write_bytes(with_record(config))
    assert read_config(weights) == config
    assert read_config(write_onnx(tmp_path / "m.coarse.onnx", config)) == config


def test_a_file_without_record_is_refused(tmp_path: Path, write_onnx: WriteOnnx) -> None:
    with pytest.raises(ModelError, match="holds no cleanplate model record"):
        read_config(write_onnx(tmp_path / "m.onnx", None))
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors({"__metadata__": {"format": "pt"}}))
    with pytest.raises(ModelError, match="holds no cleanplate model record"):
        read_config(path)


def test_a_missing_file_a_folder_and_another_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model file"):
        read_config(tmp_path / "m.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ModelError, match="cannot be read"):
        read_config(tmp_path / "folder.onnx")
    with pytest.raises(ModelError, match=r"expected \.safetensors or \.onnx"):
        read_config(tmp_path / "m.ckpt")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        pickle.dumps(Bomb()),
        b"PK\x03\x04" + bytes(64),
        b"<!DOCTYPE html><html>",
        b"\xff" * 4096,
    ],
    ids=["empty", "short", "pickle", "zip", "html", "ones"],
)
def test_other_files_with_a_suffix_of_models_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.(safetensors|onnx)"):
        read_config(path)


@pytest.mark.parametrize(
    "content",
    [
        safetensors(b"{not json"),
        safetensors([1, 2]),
        safetensors({"w": {"data_offsets": "ab"}}),
        safetensors({"w": {"data_offsets": [0, 8]}}, bytes(7)),
        struct.pack("<Q", 1 << 62) + b"{}",
        safetensors({"__metadata__": {"cleanplate": "{}"}}),
        safetensors({"__metadata__": {"cleanplate": "nonsense"}}),
        safetensors({"__metadata__": {"cleanplate": 3}}),
        safetensors({"__metadata__": 3}),
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        read_config(path)


def test_truncation_is_noticed(tmp_path: Path, config: ModelConfig, write_onnx: WriteOnnx) -> None:
    whole = write_onnx(tmp_path / "whole.onnx", config).read_bytes()
    for path, content in ((tmp_path / "m.onnx", whole), (tmp_path / "m.safetensors", with_record(config))):
        for length in range(0, len(content), 41):
            path.write_bytes(content[:length])
            with pytest.raises(ModelError):
                read_config(path)


@given(st.binary(max_size=200), st.sampled_from([".onnx", ".safetensors"]))
def test_any_bytes_are_a_record_or_a_model_error(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"m{suffix}"
        path.write_bytes(content)
        with pytest.raises(ModelError):
            read_config(path)

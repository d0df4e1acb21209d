"""Tampered models end with an error message or a matte, never with a traceback."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cleanplate
from cleanplate.errors import ModelError
from cleanplate.models.network_builder import build_network, check_tensors
from cleanplate.models.registry import EMBEDDED, find_model

torch = pytest.importorskip("torch")

# Changed weights may have any size.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

PLATE = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
FRAME = PLATE.copy()
FRAME[20:50, 30:60] = (200, 30, 30)


def key(path: Path, runtime: str) -> None:
    """Load a model and key a frame; only a ModelError may be raised."""
    with contextlib.suppress(ModelError):
        options = {"runtime": runtime, "device": "cpu", "align": False, "refine": "full"}
        matte = cleanplate.Keyer(PLATE, model=path, **options)(FRAME)
        assert matte.alpha.shape == FRAME.shape[:2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tampered")


def tamper(content: bytes, seed: int) -> bytes:
    """Change bytes in the first part, the last part or anywhere, or cut or repeat a piece."""
    random = np.random.default_rng(seed)
    changed = bytearray(content)
    parts = ((0, 600), (-3000, 0), (0, len(content)))
    start, end = parts[seed % 3]
    places = range(*slice(start or None, end or None).indices(len(content)))
    for place in random.choice(places, 1 + seed % 7):
        changed[place] = int(random.integers(256))
    if seed % 5 == 4:
        at, length = (int(n) for n in random.integers(0, len(content) // 2, 2))
        changed[at : at + length] = content[at : at + length // 2]
    return bytes(changed)


def check_tampered(folder: Path, name: str, seeds: range) -> None:
    for file in EMBEDDED.glob("lite.*.onnx"):
        shutil.copy(file, folder / file.name)
    content = (EMBEDDED / name).read_bytes()
    for seed in seeds:
        (folder / name).write_bytes(tamper(content, seed))
        key(folder / name, "onnx" if name.endswith(".onnx") else "torch")


NAMES = ("lite.coarse.onnx", "lite.refiner.onnx", "lite.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_manipulated_bytes_are_read_or_refused(
    folder: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    check_tampered(folder, name, range(4))
    assert capfd.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_manipulated_bytes_are_read_or_refused(folder: Path, name: str) -> None:
    check_tampered(folder, name, range(4, 60))


KERNEL = "refiner.conv1.weight"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tensor: tensor.to_sparse(), "sparse"),
        (lambda tensor: tensor.to("meta"), "without data"),
        (lambda tensor: tensor.to(torch.complex64), "complex numbers"),
        (lambda tensor: tensor.sum(), "a kernel of 0"),
        (lambda tensor: tensor[..., :2], "a kernel of 2"),
        (lambda _: None, "no plain dictionary of tensors"),
        (lambda _: {"a": 1}, "no plain dictionary of tensors"),
    ],
)
def test_an_error_names_a_tensor_of_another_type(folder: Path, change, sentence: str) -> None:
    path = folder / "odd.pth"
    beside = {"backbone.features.0.0.weight": torch.zeros(1), "decoder.conv4.weight": torch.zeros(1)}
    torch.save({**beside, KERNEL: change(torch.zeros(2, 2, 3, 3))}, path)
    with pytest.raises(ModelError, match=rf"odd\.pth'.*{sentence}"):
        find_model(path)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_integers_in_place_of_weights_are_refused(dtype: torch.dtype) -> None:
    config = find_model("lite").config
    state = build_network(config).state_dict()
    name = next(iter(state))
    with pytest.raises(ModelError, match=f"{name} has numbers of type {dtype}"):
        check_tensors(config, {**state, name: state[name].to(dtype)}, "it")


def test_names_that_are_no_text_are_refused(folder: Path) -> None:
    path = folder / "odd.pth"
    for content in ({1: torch.zeros(2)}, {None: torch.zeros(2)}, {}, [], torch.zeros(3), 7, "text"):
        torch.save(content, path)
        with pytest.raises(ModelError, match=r"odd\.pth"):
            find_model(path)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["plain.pth", "legacy.pth", "archive.pt"])
@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_manipulated_checkpoints_are_read_or_refused(folder: Path, name: str, seed: int) -> None:
    source = folder / f"whole.{name}"
    if not source.exists():
        module = torch.nn.Conv2d(3, 4, 3)
        if name == "archive.pt":
            torch.jit.save(torch.jit.script(module), source)
        else:
            torch.save(module.state_dict(), source, _use_new_zipfile_serialization=name == "plain.pth")
    path = folder / name
    path.write_bytes(tamper(source.read_bytes(), seed))
    with pytest.raises(ModelError, match=name):
        find_model(path)


@pytest.mark.parametrize(
    ("dtype", "size"), [("F8_E4M3", 1), ("I64", 8), ("BOOL", 1), ("C64", 8), ("F4", 1), ("XYZ", 4)]
)
def test_other_types_in_safetensors_are_refused(folder: Path, dtype: str, size: int) -> None:
    whole = (EMBEDDED / "lite.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    name = next(name for name, facts in header.items() if facts.get("dtype") == "F32")
    old = header[name]["data_offsets"]
    count = int(np.prod(header[name]["shape"]))
    header[name] |= {"dtype": dtype, "data_offsets": [len(data), len(data) + count * size]}
    # The bytes there become an unknown tensor.
    header["rest"] = {"dtype": "U8", "shape": [old[1] - old[0]], "data_offsets": old}
    text = json.dumps(header).encode()
    path = folder / "odd.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data + bytes(count * size))
    with pytest.raises(ModelError, match=r"odd\.safetensors"):
        cleanplate.Keyer(PLATE, model=path, runtime="torch", device="cpu")


def test_an_onnx_file_of_another_program_is_refused(folder: Path) -> None:
    path = folder / "other.onnx"
    shutil.copy(EMBEDDED / "lite.coarse.onnx", path)
    with pytest.raises(ModelError, match=r"other\.onnx' is not the name of a cleanplate model file"):
        find_model(path)
    with pytest.raises(ModelError, match="There is no model file"):
        find_model(folder / "gone.onnx")

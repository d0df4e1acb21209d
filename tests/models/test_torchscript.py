"""Weights from TorchScript archives, real and hostile, without running code."""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import warnings
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from cleanplate.errors import ModelError  # noqa: E402
from cleanplate.models.torchscript_archive import is_torchscript, read_torchscript  # noqa: E402


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    inner = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4))
    return torch.nn.Sequential(inner, torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()


@pytest.fixture(scope="module")
def archive(module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "module.torchscript"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(path))
    return path


def test_a_real_archive_gives_its_state_dict(module, archive: Path) -> None:
    assert is_torchscript(archive)
    found = read_torchscript(archive)
    expected = module.state_dict()
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
        assert found[name].dtype == tensor.dtype


def test_an_archive_of_half_precision_is_read(tmp_path: Path) -> None:
    path = tmp_path / "half.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(3, 2).half()).save(str(path))
    assert read_torchscript(path)["weight"].dtype == torch.float16


def test_a_state_dict_is_no_archive(module, tmp_path: Path) -> None:
    torch.save(module.state_dict(), tmp_path / "x.pth")
    assert not is_torchscript(tmp_path / "x.pth")
    assert not is_torchscript(tmp_path / "missing.pth")


def write(path: Path, tree: bytes, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/constants.pkl", b"")
        archive.writestr("x/data.pkl", tree)
        for name, content in members.items():
            archive.writestr(f"x/data/{name}", content)
    return path


class Call:
    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        return value.pid if isinstance(value, Storage) else None


class Storage:
    def __init__(self, member: str, count: int) -> None:
        self.pid = ("storage", torch.FloatStorage, member, "cpu", count)


def tree_of(value: object) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(value)
    return buffer.getvalue()


def tensor_tree(count: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    return tree_of(Call(torch._utils._rebuild_tensor_v2, Storage("0", count), offset, size, stride))


@pytest.mark.parametrize("function", [print, exec, pytest.fail, torch.load, getattr])
def test_classes_outside_of_the_list_are_refused(tmp_path: Path, function: object) -> None:
    path = write(tmp_path / "x.pth", tree_of(Call(function, "exploded")))
    with pytest.raises(ModelError, match="holds more than a TorchScript module: it names"):
        read_torchscript(path)


@pytest.mark.parametrize(
    ("count", "offset", "size", "stride"),
    [
        (4, 0, (5,), (1,)),
        (4, 2, (4,), (1,)),
        (4, 0, (2, 2), (4, 1)),
        (4, 0, (1 << 20, 1 << 20), (0, 0)),
        (5, 0, (4,), (1,)),
        (1 << 40, 0, (4,), (1,)),
        (4, -1, (4,), (1,)),
    ],
)
def test_tensors_beyond_their_storage_are_refused(
    tmp_path: Path, count: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    path = write(tmp_path / "x.pth", tensor_tree(count, offset, size, stride), **{"0": bytes(16)})
    with pytest.raises(ModelError, match="damaged TorchScript archive"):
        read_torchscript(path)


class Module:
    """Pickled as a module of the archive, with these attributes."""


Module.__module__ = "__torch__.somewhere"


def test_recursive_and_empty_archives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ModuleType("__torch__.somewhere")
    here.Module = Module
    monkeypatch.setitem(sys.modules, "__torch__", ModuleType("__torch__"))
    monkeypatch.setitem(sys.modules, "__torch__.somewhere", here)
    endless = Module()
    endless.first = endless.second = endless
    with pytest.raises(ModelError, match="damaged"):
        read_torchscript(write(tmp_path / "x.pth", tree_of(endless)))
    with zipfile.ZipFile(tmp_path / "y.pth", "w") as archive:
        archive.writestr("x/constants.pkl", b"")
    with pytest.raises(ModelError, match="damaged"):
        read_torchscript(tmp_path / "y.pth")


def test_compressed_and_missing_members_are_refused(tmp_path: Path) -> None:
    tree = tensor_tree(4, 0, (4,), (1,))
    with pytest.raises(ModelError, match="damaged"):
        read_torchscript(write(tmp_path / "x.pth", tree))
    with zipfile.ZipFile(tmp_path / "y.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", tree)
        archive.writestr("x/data/0", bytes(16))
    with pytest.raises(ModelError, match="damaged"):
        read_torchscript(tmp_path / "y.pth")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), change=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_archive_is_read_or_refused(
    archive: Path, tmp_path: Path, place: float, change: int, cut: bool
) -> None:
    content = bytearray(archive.read_bytes())
    at = int(place * (len(content) - 1))
    if cut:
        content = content[:at]
    else:
        content[at] ^= change
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    with contextlib.suppress(ModelError):
        read_torchscript(path)

"""Reads the weights inside a TorchScript archive without running or compiling its code.

Such an archive is a zip file. ``data.pkl`` is a pickle of the module tree, whose tensors name members
``data/0``, ``data/1`` ... of raw numbers. The pickle is read with a short list of harmless names: any other
name is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cleanplate.errors import ModelError
from cleanplate.models.config import ModelConfig
from cleanplate.models.records import MAX_METADATA_BYTES, METADATA_KEY

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LARGEST_PICKLE = 64 << 20
MOST_ATTRIBUTES, DEEPEST = 100_000, 64

_DTYPES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "BoolStorage": "bool",
}


class _Module:
    """A module of the archive: its attributes, without its code."""

    attributes: Mapping[str, Any] = MappingProxyType({})

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


def is_torchscript(path: Path) -> bool:
    """Tell whether a file is a zip archive with TorchScript's table of constants."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except Exception:  # noqa: BLE001 - zipfile raises many classes of exceptions for other files
        return False


def read_archive_config(path: Path) -> ModelConfig | None:
    """Read the record that this package's export put into an archive; None in other archives.

    Raises:
        ModelError: The record is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = next(
                (x for x in archive.infolist() if x.filename.endswith(f"/extra/{METADATA_KEY}")), None
            )
            if entry is None:
                return None
            if entry.file_size > MAX_METADATA_BYTES:
                raise ValueError("metadata too large")
            text = archive.read(entry).decode()
    except Exception as error:  # zipfile, pickle and torch raise any class of exception for a damaged archive
        raise ModelError(f"'{path}' is a damaged TorchScript archive.") from error
    return ModelConfig.from_json(text, f"'{path}'")


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Read parameters and buffers of the archive's module, named as in its state dict.

    Raises:
        ModelError: The archive is damaged, or holds a name that is not trusted.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _collect(_ArchiveUnpickler(archive).load())
    except pickle.UnpicklingError as error:
        raise ModelError(f"'{path}' holds more than a TorchScript module: {error}.") from error
    except Exception as error:  # zipfile, pickle and torch raise any class of exception for a damaged archive
        raise ModelError(f"'{path}' is a damaged TorchScript archive.") from error


def _collect(root: Any) -> dict[str, Tensor]:
    """Collect the tensors of a module tree by their full names."""
    import torch

    tensors: dict[str, Tensor] = {}
    waiting = [("", root)]
    for _ in range(MOST_ATTRIBUTES):
        if not waiting:
            return tensors
        name, value = waiting.pop()
        if name.count(".") > DEEPEST:
            break
        if isinstance(value, torch.Tensor):
            tensors[name] = value
        elif isinstance(value, _Module):
            prefix = f"{name}." if name else ""
            waiting += [(f"{prefix}{key}", item) for key, item in value.attributes.items()]
    raise ValueError("a module inside itself, or too many of them")


class _ArchiveUnpickler(pickle.Unpickler):
    """Reads ``data.pkl``; knows modules, tensors, and lists of plain values."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        names = archive.namelist()
        entry = next((name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")), None)
        if entry is None:
            raise ValueError("no module tree")
        if archive.getinfo(entry).file_size > LARGEST_PICKLE:
            raise pickle.UnpicklingError("its module tree is too large")
        super().__init__(io.BytesIO(archive.read(entry)))
        self._archive = archive
        self._folder = entry.removesuffix("data.pkl") + "data/"
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return type(name, (_Module,), {})
        if module in ("torch", "torch.storage") and name in _DTYPES:
            return name
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("collections", "OrderedDict"): dict,
            ("torch.jit._pickle", "restore_type_tag"): lambda value, _: value,
            **{
                ("torch.jit._pickle", f"build_{kind}list"): lambda values: values
                for kind in ("int", "double", "bool", "tensor")
            },
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        """Read a storage ``("storage", kind, member, device, count)`` as one flat tensor."""
        import torch

        _, kind, member, _, count = pid
        if member not in self._storages:
            dtype: torch.dtype = getattr(torch, _DTYPES[kind])
            entry = self._archive.getinfo(f"{self._folder}{member}")
            # Stored, not compressed: the data cannot be larger than the file.
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != count * dtype.itemsize:
                raise ValueError("a tensor of another length")
            content = self._archive.read(entry)
            self._storages[member] = (
                torch.frombuffer(bytearray(content), dtype=dtype) if count else torch.empty(0, dtype=dtype)
            )
        return self._storages[member]


def _rebuild_tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    if math.prod(size) > storage.numel():
        raise ValueError("a tensor larger than its storage")
    return storage.as_strided(size, stride, offset)  # torch refuses views beyond the storage

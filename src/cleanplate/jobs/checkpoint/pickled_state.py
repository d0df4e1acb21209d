"""States in a file: pickled, and read back without running code from the file."""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

OURS = "cleanplate.plate."
"""Prefix of the modules whose classes may be part of a state."""

OTHERS = {
    ("fractions", "Fraction"),
    # The file of a plate that was converted to the frame's colours.
    *((module, name) for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    # Functions of NumPy 1 and 2 that make arrays and scalars from bytes.
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *(
        (f"numpy.{core}.multiarray", name)
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
}


class _Checked(io.RawIOBase):
    """File that computes the checksum of the written bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sum = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        self.sum = zlib.crc32(view, self.sum)
        return self._file.write(view)


class _Pickler(pickle.Pickler):
    """Pickles known objects as their names."""

    def __init__(self, file: BinaryIO, known: Mapping[str, object]) -> None:
        super().__init__(file, protocol=5)
        self._names = {id(value): name for name, value in known.items() if value is not None}

    def persistent_id(self, obj: object) -> str | None:
        return self._names.get(id(obj))


class _Unpickler(pickle.Unpickler):
    """Restores only arrays, fractions and our own classes."""

    def __init__(self, file: BinaryIO, known: Mapping[str, object]) -> None:
        super().__init__(file)
        self._known = known

    def find_class(self, module: str, name: str) -> object:
        if (module, name) in OTHERS:
            return super().find_class(module, name)
        if module.startswith(OURS):
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a checkpoint")

    def persistent_load(self, pid: object) -> object:
        if not isinstance(pid, str) or pid not in self._known:
            raise pickle.UnpicklingError(f"{pid!r} is not known")
        return self._known[pid]


def write_state(state: object, path: Path, known: Mapping[str, object]) -> int:
    """Write a state; returns the checksum for :func:`read_state`.

    Args:
        state: Of arrays, fractions, classes of the plate's room, and Python's built-in types.
        path: The file; replaced if it exists.
        known: Objects that are written as names, because the reader has them too.

    Raises:
        OSError: It cannot be written.
    """
    path.unlink(missing_ok=True)  # a link that somebody put there is not followed
    with path.open("xb") as file:
        checked = _Checked(file)
        _Pickler(checked, known).dump(state)  # type: ignore[arg-type]
    return checked.sum


def read_state(path: Path, checksum: int, known: Mapping[str, object]) -> object:
    """Read a file of :func:`write_state`.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged, or has objects that are not allowed in a state.
    """
    data = path.read_bytes()
    if zlib.crc32(data) != checksum:
        raise ValueError(f"{path} is damaged")
    try:
        return _Unpickler(io.BytesIO(data), known).load()
    except Exception as error:
        raise ValueError(f"{path} is damaged: {error}") from error

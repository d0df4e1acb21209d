"""States in a file: pickled, and read back without running code from the file."""

from __future__ import annotations

import io
import pickle
import zlib
from pathlib import Path
from typing import BinaryIO

OURS = "cleanplate.plate."
"""Prefix of the modules whose classes may be part of a state."""

OTHERS = {
    ("fractions", "Fraction"),
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


class _Unpickler(pickle.Unpickler):
    """Restores only arrays, fractions and our own classes."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) in OTHERS:
            return super().find_class(module, name)
        if module.startswith(OURS):
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a checkpoint")


def write_state(state: object, path: Path) -> int:
    """Write a state; returns the checksum for :func:`read_state`.

    Args:
        state: Of arrays, fractions, classes of the plate's room, and Python's built-in types.
        path: The file; replaced if it exists.

    Raises:
        OSError: It cannot be written.
    """
    path.unlink(missing_ok=True)  # a link that somebody put there is not followed
    with path.open("xb") as file:
        checked = _Checked(file)
        pickle.dump(state, checked, protocol=5)
    return checked.sum


def read_state(path: Path, checksum: int) -> object:
    """Read a file of :func:`write_state`.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged, or has objects that are not allowed in a state.
    """
    data = path.read_bytes()
    if zlib.crc32(data) != checksum:
        raise ValueError(f"{path} is damaged")
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Exception as error:
        raise ValueError(f"{path} is damaged: {error}") from error

"""Fingerprint of a job as short text: two runs with the same one give the same result."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.errors import OptionError
from cleanplate.frame import AnyArray
from cleanplate.jobs.job import OPTIONS
from cleanplate.media.numbering import is_sequence, numbered_files
from cleanplate.models.records import sha256_of
from cleanplate.models.registry import Model
from cleanplate.plate import Plate
from cleanplate.vocabulary import flags_of

FILES = {
    "clip",
    *(name for options in OPTIONS for name, flag in flags_of(options).items() if flag.path == "if it exists"),
}
"""Parts whose text may be the name of a file; then the file counts."""

Fingerprint = dict[str, Any]
"""Mapping of names such as ``encoding.codec`` to JSON values."""


def fingerprint(parts: Mapping[str, object]) -> Fingerprint:
    """Describe everything that the result depends on.

    Args:
        parts: By name: text, numbers, paths, arrays, plates, models, and dataclasses, mappings and sequences
            of these. Files are identified by path, size and time, arrays and models by their hash.

    Raises:
        OptionError: A part is an object that cannot be identified in another process.
    """
    found: Fingerprint = {}
    for name, value in parts.items():
        _describe(name, value, found)
    # Through JSON and back, so that it can be compared with a fingerprint read from a file.
    described: Fingerprint = json.loads(json.dumps(found))
    return described


def versions_of(*packages: str) -> list[str]:
    """Versions of packages; empty text for a package without metadata."""
    return [_version_of(package) for package in packages]


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def find_differences(before: Fingerprint, now: Fingerprint) -> list[str]:
    """Names of the parts that differ, as the user knows them."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return list(dict.fromkeys(_word_of(name).replace("_", " ") for name in names))


def _word_of(name: str) -> str:
    """The option of a part: ``plate`` of ``plate.1``."""
    return name.rstrip(".0123456789").rpartition(".")[2]


def _describe(name: str, value: object, found: Fingerprint) -> None:
    if isinstance(value, Plate):
        found[name] = [_hash_array(value.pixels), None if value.known is None else _hash_array(value.known)]
    elif isinstance(value, Model):
        paths = [getattr(value, field.name) for field in dataclasses.fields(value)]
        files = [path for path in paths if isinstance(path, Path)]
        found[name] = [sha256_of(file) if file.is_file() else str(file) for file in files]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.metadata.get("fingerprint", True):
                _describe(f"{name}.{field.name}", getattr(value, field.name), found)
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            _describe(f"{name}.{key}", entry, found)
    elif isinstance(value, (str, Path)):
        is_file = _word_of(name) in FILES
        found[name] = describe_file(Path(value)) if is_file else str(value)
    elif isinstance(value, np.ndarray):
        found[name] = _hash_array(value)
    elif isinstance(value, Fraction):
        found[name] = str(value)
    elif value is None or isinstance(value, (bool, int, float)):
        found[name] = value
    elif isinstance(value, Sequence):
        for number, entry in enumerate(value):
            _describe(f"{name}.{number}" if not isinstance(entry, str) else name, entry, found)
        if all(isinstance(entry, str) for entry in value):
            found[name] = list(value)
    else:
        what = name.rpartition(".")[2]
        raise OptionError(
            f"A job whose {what} is an object of {type(value).__name__} cannot be resumed.",
            f"give {what} as text, path or array",
        )


def describe_file(path: Path) -> object:
    """Path, size and time of a file, or of those in a sequence or folder; other text as it is."""
    if is_sequence(path) or path.is_dir():
        files = numbered_files(path).values() if is_sequence(path) else sorted(path.iterdir())
        digest = hashlib.sha256()
        for file in files:
            digest.update(repr(_stamp(file)).encode())
        return [str(path.resolve()), digest.hexdigest()]
    return _stamp(path) if path.is_file() else str(path)


def _stamp(path: Path) -> list[str | int]:
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def _hash_array(array: AnyArray) -> str:
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()

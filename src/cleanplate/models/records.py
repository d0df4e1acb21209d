"""Reads a model's record from its files without PyTorch, onnx or safetensors; computes hashes of files."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cleanplate.errors import ModelError
from cleanplate.models.config import ModelConfig
from cleanplate.system.system_errors import reason_of

METADATA_KEY = "cleanplate"
MAX_HEADER_BYTES = 16 << 20
MAX_METADATA_BYTES = 1 << 20

ONNX_METADATA_FIELD = 14
"""Number of ``ModelProto.metadata_props`` in onnx.proto."""

VARINT, BYTES = 0, 2
FIXED_LENGTHS = {1: 8, 5: 4}
"""Wire types of protocol buffer fields, and the number of bytes of those with a fixed length."""


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_config(path: Path) -> ModelConfig:
    """Read the record inside a ``.safetensors`` or ``.onnx`` file.

    Raises:
        ModelError: The file is missing, damaged, of another kind, or has no record.
    """
    if path.suffix not in (".safetensors", ".onnx"):
        raise ModelError(f"'{path}' is no model file: expected .safetensors or .onnx.")
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            read_record = _onnx_record if path.suffix == ".onnx" else _safetensors_record
            text = read_record(file, size, path)
    except FileNotFoundError:
        raise ModelError(f"There is no model file '{path}'.") from None
    except OSError as error:
        raise ModelError(f"The model file '{path}' cannot be read: {reason_of(error)}.") from error
    if text is None:
        raise ModelError(
            f"'{path}' holds no cleanplate model record.",
            "use a file that cleanplate's export or training wrote",
        )
    return ModelConfig.from_json(text, f"'{path}'")


def _safetensors_record(file: BinaryIO, size: int, path: Path) -> str | None:
    """Read safetensors: 8 bytes of length (little endian), a JSON header of that length, then the tensors."""
    damaged = ModelError(f"'{path}' is damaged, or no safetensors file.")
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
        raise damaged
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(header, dict):
        raise damaged
    metadata = header.pop("__metadata__", {})
    try:
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (TypeError, KeyError, IndexError) as error:
        raise damaged from error
    if end != size - 8 - length:
        raise ModelError(f"'{path}' is damaged: its tensors do not fill the file.", "fetch or write it again")
    record = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    return record if isinstance(record, str) else None


def _onnx_record(file: BinaryIO, size: int, path: Path) -> str | None:
    """Read the top level of the ONNX protocol buffer; the graph, its largest entry, is skipped."""
    try:
        for number, length in _byte_fields(file, size):
            if number != ONNX_METADATA_FIELD:
                continue
            if length > MAX_METADATA_BYTES:
                raise ValueError("metadata too large")
            entry = io.BytesIO(file.read(length))
            strings = {key: entry.read(extent) for key, extent in _byte_fields(entry, length)}
            if strings.get(1) == METADATA_KEY.encode():
                return strings.get(2, b"").decode()
    except ValueError as error:
        raise ModelError(f"'{path}' is damaged, or no ONNX file.", "fetch or write it again") from error
    return None


def _byte_fields(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield ``(field number, length)`` of each byte field of a protocol buffer; the file is at its payload.

    Fields of other kinds are skipped. ValueError if the file is no protocol buffer.
    """
    while file.tell() < size:
        key = _varint(file)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            length = 0
            _varint(file)
        elif kind == BYTES:
            length = _varint(file)
        elif kind in FIXED_LENGTHS:
            length = FIXED_LENGTHS[kind]
        else:
            raise ValueError(f"unknown kind {kind}")
        end = file.tell() + length
        if number == 0 or end > size:
            raise ValueError("a field outside the file")
        if kind == BYTES:
            yield number, length
        file.seek(end)


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("not a varint")

"""Reads files of tensors from other programs without running any code in them."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cleanplate.errors import MissingExtraError, ModelError
from cleanplate.models.torchscript_archive import is_torchscript, read_torchscript

UNSAFE_HEADERS = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
"""Exceptions of safetensors, besides SafetensorError, for headers written by another program."""


def read_checkpoint(path: Path, hint: str = "") -> Any:
    """Read a checkpoint: normally a state dict, or a dictionary that holds one.

    Args:
        path: A file from ``torch.save``, a TorchScript archive, or ``.safetensors``.
        hint: Hint for errors: the kinds of file that are expected.

    Raises:
        ModelError: The file is missing, damaged, or holds more than tensors and plain values.
        MissingExtraError: PyTorch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "Reading a PyTorch checkpoint") from None

    if not path.is_file():
        raise ModelError(f"There is no model file '{path}'.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if is_torchscript(path):
        tensors = read_torchscript(path)
        if not tensors:
            raise ModelError(
                f"'{path}' is a TorchScript archive without parameters: it was frozen.",
                "use the archive as it was before torch.jit.freeze",
            )
        return tensors
    try:
        with warnings.catch_warnings():
            # torch warns of an unusual pickle before it refuses it; the refusal is enough.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"'{path}' holds more than tensors, or is damaged; it was not loaded.", hint
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # torch.load raises any class of exception for files of other programs
        raise ModelError(f"'{path}' is damaged, or no PyTorch checkpoint.", hint) from error


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except MemoryError:
        raise
    except (SafetensorError, *UNSAFE_HEADERS) as error:
        raise ModelError(f"'{path}' is damaged: {error}.") from error


def find_odd_tensor(state: Mapping[str, Any]) -> str | None:
    """Describe the first tensor that is no plain array of numbers; None if all are."""
    import torch

    for name, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested or tensor.is_meta:
            return f"{name} is sparse, quantised, nested or without data"
        if tensor.is_complex():
            return f"{name} has complex numbers"
    return None

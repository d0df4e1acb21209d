"""Checkpoints: written atomically, read without running code in them."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch

from cleanplate.errors import InputError
from cleanplate.media.files import reporting_write_errors
from cleanplate.system.temporary_files import temporary_file

FORMAT = 2
"""Version of a run's state; files of the first training loop have no version."""


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write ``state`` to ``path``; the old checkpoint stays until the new one is safe on the disk.

    Raises:
        OutputError: The disk is full, or the folder cannot be written to; the old checkpoint is untouched.
    """
    # Serialised in memory first: PyTorch's own writer does not tell a full disk from other errors.
    content = io.BytesIO()
    torch.save({"format": FORMAT, **state}, content)
    with reporting_write_errors(path), temporary_file(path) as partial:
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of :func:`save_checkpoint` to the CPU.

    Raises:
        InputError: The file is missing, damaged, of another kind, or of a newer version.
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch.load raises any class of exception for files of other programs
        raise InputError(f"{path} is damaged, or no checkpoint of a training run.") from error
    if not isinstance(state, dict) or not isinstance(state.get("average"), dict):
        raise InputError(f"{path} is no checkpoint of a training run.")
    if not isinstance(state.get("format", 1), int):
        raise InputError(f"{path} is no checkpoint of a training run.")
    if state.get("format", 1) > FORMAT:
        raise InputError(f"{path} was written by a newer cleanplate.", "install it, or start a new run")
    return state

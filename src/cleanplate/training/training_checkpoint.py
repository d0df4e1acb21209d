"""Checkpoints: written whole or not at all, read without running what is in them."""

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
"""Version of a run's state; files of the first training loop have none."""


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write ``state`` to ``path``, which holds the old checkpoint until the new one is safe on the disk.

    Raises:
        OutputError: The disk is full, or the folder cannot be written to; the old checkpoint is untouched.
    """
    # Serialised in memory first: PyTorch's own writer says of a full disk only that a write failed.
    content = io.BytesIO()
    torch.save({"format": FORMAT, **state}, content)
    with reporting_write_errors(path), temporary_file(path) as partial:
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote, onto the CPU.

    Raises:
        InputError: Missing, damaged, something else, or of a newer version.
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch.load lets anything out for files that no torch.save wrote
        raise InputError(f"{path} is damaged, or no checkpoint of a training run.") from error
    if not isinstance(state, dict) or not isinstance(state.get("average"), dict):
        raise InputError(f"{path} is no checkpoint of a training run.")
    if not isinstance(state.get("format", 1), int):
        raise InputError(f"{path} is no checkpoint of a training run.")
    if state.get("format", 1) > FORMAT:
        raise InputError(f"{path} was written by a newer cleanplate.", "install it, or start anew")
    return state

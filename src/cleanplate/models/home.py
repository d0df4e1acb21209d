"""Folder of the user's own models."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cleanplate.errors import UnavailableError

HOME_VARIABLE = "CLEANPLATE_HOME"


def data_folder() -> Path:
    """Find this user's folder for data of cleanplate; ``CLEANPLATE_HOME`` names another.

    Linux: ``$XDG_DATA_HOME/cleanplate`` or ``~/.local/share/cleanplate``; macOS:
    ``~/Library/Application Support/cleanplate``; Windows: ``%LOCALAPPDATA%\\cleanplate``.

    Raises:
        UnavailableError: This user has no home folder, for example an unknown user id in a container.
    """
    try:
        return _find_data_folder()
    except RuntimeError as error:
        raise UnavailableError(
            "This user has no home folder for models and plates.", f"set {HOME_VARIABLE} to a folder"
        ) from error


def _find_data_folder() -> Path:
    if chosen := os.environ.get(HOME_VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "cleanplate"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "cleanplate"
    shared = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification tells programs to ignore a relative path.
    return (Path(shared) if Path(shared).is_absolute() else Path.home() / ".local" / "share") / "cleanplate"


def model_folder() -> Path:
    """Folder of the models that the user has added, with their manifest; it may not exist yet."""
    return data_folder() / "models"


def existing_model_folder() -> Path | None:
    """Like :func:`model_folder`, for reading; None if this user has no home folder."""
    try:
        return model_folder()
    except UnavailableError:
        return None

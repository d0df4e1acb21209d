"""Models that plug-ins bring, each in a folder of models as ``cleanplate publish`` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cleanplate.models.config import ModelConfig
from cleanplate.models.model_manifest import ListedModel, check_files, read_manifest
from cleanplate.system.plugins import Plugin, explaining_plugin, leaving_out, working_plugins
from cleanplate.vocabulary.options import AUTO_MODEL


def names_in_plugins() -> set[str]:
    """Names of the models of all plug-ins; a broken plug-in is left out with a warning."""
    return {name for _, _, listed in _folders() for name in listed}


def find_in_plugins(name: str) -> tuple[ModelConfig, list[Path]] | None:
    """Find a model of a plug-in: its record and its files, checked; None if no plug-in has the name.

    Raises:
        ModelError: A file is missing or damaged.
    """
    for plugin, folder, listed in _folders():
        if name in listed:
            return listed[name].config, check_files(folder, listed[name], _remedy(plugin))
    return None


def read_folder(plugin: Plugin, give_folder: Any) -> tuple[Path, dict[str, ListedModel]]:
    """Call the function of a plug-in, and read the manifest in its folder.

    Raises:
        UnavailableError: The function fails, or gives no folder of models.
        ModelError: The manifest is damaged.
    """
    with explaining_plugin(plugin):
        folder = Path(give_folder())
        listed = read_manifest(folder, _remedy(plugin))
        if not listed:
            raise FileNotFoundError(f"there is no model in {folder}")
        if AUTO_MODEL in listed:
            raise ValueError(f"a model in {folder} has the name '{AUTO_MODEL}', the word for a choice")
    return folder, listed


def _folders() -> list[tuple[Plugin, Path, dict[str, ListedModel]]]:
    found: list[tuple[Plugin, Path, dict[str, ListedModel]]] = []
    for plugin, give_folder in working_plugins("model"):
        with leaving_out(plugin):
            found.append((plugin, *read_folder(plugin, give_folder)))
    return found


def _remedy(plugin: Plugin) -> str:
    return f"install {plugin.package.partition(' ')[0]} again"

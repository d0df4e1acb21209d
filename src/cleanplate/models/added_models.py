"""Store of the models that the user has added: verified, kept as safetensors in the user's folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.errors import ModelError, OutputError
from cleanplate.models.config import ModelConfig
from cleanplate.models.home import model_folder
from cleanplate.models.model_manifest import (
    START_OVER,
    check_is_free,
    list_in_manifest,
    read_manifest,
    unlist_in_manifest,
)
from cleanplate.models.registry import CHECKPOINT_SUFFIXES, EMBEDDED, Model, find_model
from cleanplate.system.system_errors import reason_of

if TYPE_CHECKING:
    from torch import nn


def add_model(
    path: Path, name: str | None = None, *, overwrite: bool = False, folder: Path | None = None
) -> Model:
    """Add a file to the store, so that the model can be used by its name.

    Args:
        path: A checkpoint of BGMv2's or RVM's authors, state dict or TorchScript archive; or a
            ``.safetensors`` file of this package.
        name: Name of the model; by default that of its network, such as ``mobilenetv2`` and
            ``rvm-mobilenetv3``, or the one in a ``.safetensors`` file.
        overwrite: Replace a model of that name.
        folder: Folder of the store; by default the user's.

    Raises:
        ModelError: The file is missing, damaged or not recognised; or the name is taken.
        OutputError: It cannot be written.
        MissingExtraError: PyTorch is not installed.
    """
    config, network = _read(path)
    config = dataclasses.replace(config, name=name or config.name)
    folder = folder or model_folder()
    check_name(config.name, overwrite=overwrite, folder=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder '{folder}' cannot be made: {reason_of(error)}.") from error

    from cleanplate.models.load import save_model

    path = folder / f"{config.name}.safetensors"
    replaced = read_manifest(folder, START_OVER).get(config.name)
    save_model(network, config, path)
    for file in replaced.files if replaced else ():
        if file != path.name:  # ONNX files of the replaced model
            (folder / file).unlink(missing_ok=True)
    return list_model(config.name, folder=folder)


def list_model(name: str, *, folder: Path | None = None) -> Model:
    """Add the files of this name in the folder, with their hashes, to the manifest.

    Raises:
        ModelError: There are none.
        OutputError: The list cannot be written.
    """
    folder = folder or model_folder()
    try:
        list_in_manifest(folder, name)
    except OSError as error:
        raise OutputError(
            f"The list of models in '{folder}' cannot be written: {reason_of(error)}."
        ) from error
    return find_model(name, added=folder)


def remove_model(name: str, *, folder: Path | None = None) -> None:
    """Delete a model that the user has added.

    Raises:
        ModelError: There is no model of that name.
        OutputError: It cannot be deleted.
    """
    folder = folder or model_folder()
    models = read_manifest(folder, START_OVER)
    if name not in models:
        listed = f"added are: {', '.join(sorted(models))}" if models else "no model was added"
        raise ModelError(f"There is no model '{name}' to remove.", listed)
    try:
        unlist_in_manifest(folder, name)
        for file in models[name].files:
            (folder / file).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"The model '{name}' cannot be removed: {reason_of(error)}.") from error


def _read(path: Path) -> tuple[ModelConfig, nn.Module]:
    from cleanplate.models.load import load_safetensors
    from cleanplate.models.network_builder import build_network, require_torch
    from cleanplate.models.official import HINT, load_official

    require_torch()
    if not path.is_file():
        raise ModelError(f"There is no model file '{path}'.")
    if path.suffix == ".safetensors":
        config, state = load_safetensors(path)
    elif path.suffix in CHECKPOINT_SUFFIXES:
        config, state = load_official(path)
    else:
        raise ModelError(
            f"'{path}' is no model file: expected .safetensors, {', '.join(CHECKPOINT_SUFFIXES)}.", HINT
        )
    network = build_network(config)
    network.load_state_dict(state)
    return config, network.eval()


def check_name(name: str, *, overwrite: bool = False, folder: Path | None = None) -> None:
    """Raise ModelError if no model of this name may be added."""
    folder = folder or model_folder()
    check_is_free(name)
    if name in read_manifest(EMBEDDED):
        raise ModelError(f"'{name}' is the name of a model in the package.", "choose another with --name")
    if name in read_manifest(folder, START_OVER) and not overwrite:
        raise ModelError(
            f"There is a model '{name}' already.", "choose another name with --name, or add --overwrite"
        )

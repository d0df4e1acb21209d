"""Finds the record and the files of a model by a name or a path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cleanplate.errors import ModelError
from cleanplate.models.config import BACKBONES, RECURRENT_BACKBONES, ModelConfig
from cleanplate.models.home import existing_model_folder
from cleanplate.models.hub import PREFIX, find_on_hub
from cleanplate.models.model_manifest import (
    START_OVER,
    SUFFIXES,
    ListedModel,
    check_files,
    common_config,
    read_manifest,
)
from cleanplate.models.official import load_official
from cleanplate.models.plugin_models import find_in_plugins, names_in_plugins
from cleanplate.vocabulary import DEFAULT_MODEL as DEFAULT_MODEL
from cleanplate.vocabulary.options import AUTO_MODEL

EMBEDDED = Path(__file__).parent / "embedded"
CHECKPOINT_SUFFIXES = (".pth", ".pt", ".torchscript")
RECURRENT_MODELS = tuple(f"rvm-{backbone}" for backbone in RECURRENT_BACKBONES)
"""Names of the models of RVM's authors."""


@dataclass(frozen=True)
class Model:
    """A model that can be loaded.

    Attributes:
        config: Its record.
        coarse_onnx: The coarse network for ONNX Runtime, or None.
        refiner_onnx: The refiner for ONNX Runtime, or None.
        weights: ``.safetensors`` for PyTorch, or a checkpoint of BGMv2's or RVM's authors, or None.
        recurrent_onnx: The whole network of a model without a plate for ONNX Runtime, or None.
    """

    config: ModelConfig
    coarse_onnx: Path | None = None
    refiner_onnx: Path | None = None
    weights: Path | None = None
    recurrent_onnx: Path | None = None


def list_models(embedded: Path = EMBEDDED, added: Path | None = None) -> list[str]:
    """List the names of the package's models, of those that the user has added, and of those of plug-ins."""
    own = read_manifest(embedded)
    brought = _read_added(added or existing_model_folder())
    names = [*sorted(own), *sorted(brought.keys() - own.keys())]
    return [*names, *sorted(names_in_plugins() - set(names))]


def find_model(name_or_path: str | Path, *, embedded: Path = EMBEDDED, added: Path | None = None) -> Model:
    """Find a model and check its files.

    Args:
        name_or_path: A name from :func:`list_models`; or a path: ``x.safetensors``, ``x.coarse.onnx`` (its
            ``x.refiner.onnx`` is found beside it), ``x.recurrent.onnx``, their common beginning ``x``, or a
            checkpoint of BGMv2's or RVM's authors; or ``hf:owner/name@revision`` of the Hugging Face hub.
        embedded: Folder of the package's models.
        added: Folder of the models that the user has added; by default
            :func:`cleanplate.models.home.model_folder`.

    Raises:
        ModelError: An unknown name, or a missing, damaged or wrong file.
        UnavailableError: The hub cannot be reached.
        MissingExtraError: A checkpoint was given and PyTorch is not installed, or a model of the hub without
            the extra ``hub``.
    """
    listed = read_manifest(embedded)
    name = str(name_or_path)
    if name == AUTO_MODEL:
        raise ModelError(
            f"'{name}' is no model, but a choice by runtime and processor for keying.",
            f"name one of {', '.join(list_models(embedded, added))}",
        )
    if name.startswith(PREFIX):
        return _assemble(*find_on_hub(name))
    if name in listed:
        return _assemble(listed[name].config, check_files(embedded, listed[name]))
    added = added or existing_model_folder()
    brought = _read_added(added)
    if added is not None and name in brought:
        files = check_files(added, brought[name], f"add it again: cleanplate models add FILE --name {name}")
        return _assemble(brought[name].config, files)
    path = Path(name_or_path)
    if path.suffix in CHECKPOINT_SUFFIXES:
        config, _ = load_official(path)
        return Model(config, weights=path)
    if paths := _files_at(path):
        return _assemble(common_config(paths), paths)
    if found := find_in_plugins(name):
        return _assemble(*found)
    if name in BACKBONES:
        raise ModelError(
            f"The weights of BGMv2's '{name}' are not part of this package.",
            f"cleanplate models get {name}, or give a checkpoint of its authors: --model=pytorch_{name}.pth",
        )
    if name in RECURRENT_MODELS:
        raise ModelError(
            f"The weights of RVM's '{name}' are not part of this package: their licence is GPL-3.0.",
            f"cleanplate models get {name}, or models add {name.replace('-', '_')}.pth",
        )
    if path.is_file():
        raise ModelError(
            f"'{name}' is not the name of a cleanplate model file.",
            "expected NAME.safetensors, NAME.coarse.onnx, NAME.recurrent.onnx, or a checkpoint (.pth, .pt); "
            "cleanplate export writes them",
        )
    if path.suffix or len(path.parts) > 1:
        raise ModelError(f"There is no model file '{name}'.")
    raise ModelError(
        f"Unknown model '{name}'.",
        "known: "
        + ", ".join(dict.fromkeys([*list_models(embedded, added), *BACKBONES, *RECURRENT_MODELS]))
        + "; or the path of a file",
    )


def _read_added(folder: Path | None) -> dict[str, ListedModel]:
    return {} if folder is None else read_manifest(folder, START_OVER)


def _files_at(path: Path) -> list[Path]:
    """List the existing files that ``path`` names; may be empty."""
    if path.name.endswith(".safetensors"):
        candidates = [path]
    elif path.suffix == ".onnx":
        prefix = path.name.removesuffix(".onnx")
        for part in (".coarse", ".refiner", ".recurrent"):
            prefix = prefix.removesuffix(part)
        candidates = [path.with_name(prefix + suffix) for suffix in SUFFIXES if suffix.endswith(".onnx")]
    else:
        candidates = [path.with_name(path.name + suffix) for suffix in SUFFIXES] if path.name else []
    return [candidate for candidate in candidates if candidate.is_file()]


def _assemble(config: ModelConfig, paths: list[Path]) -> Model:
    coarse, refiner, weights, recurrent = (
        next((path for path in paths if path.name.endswith(suffix)), None) for suffix in SUFFIXES
    )
    if weights is None and coarse is None and recurrent is None:
        raise ModelError(f"The model '{config.name}' has a refiner but no coarse network.")
    if coarse is not None and refiner is None and config.refiner_kernel is not None:
        raise ModelError(
            f"The refiner of '{coarse}' is missing.",
            f"it should be '{coarse.name.removesuffix('.coarse.onnx')}.refiner.onnx' beside it",
        )
    return Model(config, coarse, refiner, weights, recurrent)

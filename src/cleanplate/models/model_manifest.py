"""Manifest of the models in a folder (of the package or of the user), with the size and hash of each file.

The package's folder ``embedded/`` holds, for a model named ``lite``, the files ``lite.coarse.onnx``,
``lite.refiner.onnx`` and ``lite.safetensors``, and ``manifest.json``::

    {"format": 1, "models": {"lite": {"config": {...}, "files": {"lite.coarse.onnx": {"sha256": "...",
    "size": 1}}}}}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanplate.errors import ModelError
from cleanplate.models.config import ModelConfig
from cleanplate.models.records import read_config, sha256_of
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import temporary_file
from cleanplate.vocabulary.options import AUTO_MODEL

FORMAT = 1
MANIFEST = "manifest.json"
SUFFIXES = (".coarse.onnx", ".refiner.onnx", ".safetensors", ".recurrent.onnx")


@dataclass(frozen=True)
class ListedModel:
    """One entry of the manifest: the model's record, and ``(sha256, size)`` of each file by name."""

    config: ModelConfig
    files: dict[str, tuple[str, int]]


REINSTALL = "install cleanplate again"
START_OVER = "delete it, and add the models again"
"""Hints for a damaged manifest: that of the package, and that of the user."""


def read_manifest(folder: Path, remedy: str = REINSTALL) -> dict[str, ListedModel]:
    """Read the models in the manifest of ``folder``, by name; empty if there is no manifest.

    Raises:
        ModelError: The manifest is damaged; ``remedy`` is its hint.
    """
    path = folder / MANIFEST
    try:
        manifest: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        reason = reason_of(error)
        raise ModelError(f"The list of models '{path}' cannot be read: {reason}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"The list of models '{path}' is damaged.", remedy) from error
    try:
        if manifest["format"] != FORMAT:
            raise ValueError("format")
        return {
            str(name): ListedModel(
                ModelConfig.from_dict(entry["config"], f"'{path}'"),
                {
                    str(file): (str(facts["sha256"]), int(facts["size"]))
                    for file, facts in entry["files"].items()
                },
            )
            for name, entry in manifest["models"].items()
        }
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ModelError(f"The list of models '{path}' is damaged.", remedy) from error


def list_in_manifest(folder: Path, name: str) -> None:
    """Add the model ``name``, with the files that ``folder`` has, to the manifest.

    Raises:
        ModelError: The name is ``auto``; there are no such files, their records differ, or one has another
            name.
    """
    check_is_free(name)
    paths = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").exists()]
    if not paths:
        raise ModelError(f"There are no files of a model '{name}' in '{folder}'.")
    config = common_config(paths)
    if config.name != name:
        raise ModelError(f"The files of '{name}' in '{folder}' name their model '{config.name}'.")
    models = read_manifest(folder)
    models[name] = ListedModel(config, {path.name: (sha256_of(path), path.stat().st_size) for path in paths})
    _write(folder, models)


def check_is_free(name: str) -> None:
    """Raise ModelError if the name is the word for cleanplate's choice."""
    if name == AUTO_MODEL:
        raise ModelError(f"A model cannot be named '{name}', the word for cleanplate's choice of a model.")


def unlist_in_manifest(folder: Path, name: str) -> None:
    """Remove the model ``name`` from the manifest; its files stay."""
    models = read_manifest(folder)
    del models[name]
    _write(folder, models)


def _write(folder: Path, models: dict[str, ListedModel]) -> None:
    manifest = {
        "format": FORMAT,
        "models": {
            name: {
                "config": model.config.to_dict(),
                "files": {
                    file: {"sha256": sha256, "size": size} for file, (sha256, size) in model.files.items()
                },
            }
            for name, model in sorted(models.items())
        },
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    with temporary_file(folder / MANIFEST) as partial:
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / MANIFEST)


def check_files(folder: Path, model: ListedModel, remedy: str = REINSTALL) -> list[Path]:
    """List the model's files, each checked against the manifest.

    Raises:
        ModelError: A file is missing or differs from the manifest; ``remedy`` is the hint.
    """
    paths = []
    for file, (sha256, size) in model.files.items():
        path = folder / file
        if not path.is_file():
            raise ModelError(f"The model file '{path}' is missing.", remedy)
        if path.stat().st_size != size or sha256_of(path) != sha256:
            raise ModelError(f"The model file '{path}' is damaged: its hash is not the listed one.", remedy)
        paths.append(path)
    return paths


def common_config(paths: list[Path]) -> ModelConfig:
    """Read the record that all of ``paths`` share.

    Raises:
        ModelError: Their records differ, or a file is damaged.
    """
    config = read_config(paths[0])
    for path in paths[1:]:
        if read_config(path) != config:
            raise ModelError(
                f"'{paths[0]}' and '{path}' are not of the same model: their records differ.",
                "name one file instead of their common beginning",
            )
    return config

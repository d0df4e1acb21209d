"""Writes a model as a folder for the Hugging Face hub: card, record, manifest and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cleanplate.errors import ModelError, OutputError
from cleanplate.models.config import ModelConfig
from cleanplate.models.model_manifest import list_in_manifest, read_manifest
from cleanplate.models.records import sha256_of
from cleanplate.models.registry import Model
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import OVERWRITE_HINT, make_folder, move_into_place, temporary_file

ATTRIBUTES = "".join(
    f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in (".onnx", ".safetensors")
)

FAMILIES = {
    "bgmv2": "the networks of Real-Time High-Resolution Background Matting (BGMv2)",
    "lite": "cleanplate's own networks",
    "rvm": "the network of Robust High-Resolution Video Matting (RVM), which needs no plate",
}


def write_hub_folder(model: Model, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write ``README.md`` with the hub's header, ``config.json``, ``manifest.json`` and the model's files.

    Args:
        model: A model with ``.safetensors`` or ONNX files.
        folder: Made if it is missing; other files in it are left alone.
        overwrite: Replace files of these names.

    Returns:
        Paths of the files.

    Raises:
        ModelError: The weights are a checkpoint of other authors, which is not safetensors.
        OutputError: A file exists, the folder holds another model, or it cannot be written.
    """
    config = model.config
    if model.weights is not None and model.weights.suffix != ".safetensors":
        raise ModelError(
            f"The weights of '{config.name}' are a checkpoint ({model.weights.name}), not safetensors.",
            f"cleanplate models add {model.weights}, then publish the added model",
        )
    parts = (model.coarse_onnx, model.refiner_onnx, model.recurrent_onnx, model.weights)
    sources = [path for path in parts if path is not None]
    names = [
        "README.md",
        "config.json",
        ".gitattributes",
        *(_name_in_folder(config, path) for path in sources),
    ]
    paths = [folder / name for name in names]
    if not overwrite and (existing := [path for path in paths if path.exists()]):
        raise OutputError(f"{existing[0]} exists already.", OVERWRITE_HINT)
    if others := read_manifest(folder).keys() - {config.name}:
        raise OutputError(
            f"The folder '{folder}' holds the model '{min(others)}'; a repository holds one.",
            "choose another folder",
        )
    make_folder(folder)
    try:
        for source, path in zip(sources, paths[3:], strict=True):
            with temporary_file(path) as partial:
                shutil.copyfile(source, partial)
                move_into_place(partial, path, overwrite=overwrite)
        files = {path.name: (path.stat().st_size, sha256_of(path)) for path in paths[3:]}
        texts = (_describe(config, files), _to_json(config), ATTRIBUTES)
        for text, path in zip(texts, paths[:3], strict=True):
            with temporary_file(path) as partial:
                partial.write_text(text, encoding="utf-8", newline="\n")
                move_into_place(partial, path, overwrite=overwrite)
        list_in_manifest(folder, config.name)
    except OSError as error:
        raise OutputError(f"The folder '{folder}' cannot be written: {reason_of(error)}.") from error
    return [*paths, folder / "manifest.json"]


def _name_in_folder(config: ModelConfig, path: Path) -> str:
    """Name of a file after its model: ``lite.coarse.onnx`` of ``anything.coarse.onnx``."""
    kind = next(
        (part for part in (".coarse.onnx", ".refiner.onnx", ".recurrent.onnx") if path.name.endswith(part)),
        path.suffix,
    )
    return f"{config.name}{kind}"


def _to_json(config: ModelConfig) -> str:
    record = {"library_name": "cleanplate", "model_type": f"cleanplate-{config.family}"}
    return json.dumps({**record, "cleanplate": config.to_dict()}, indent=2, ensure_ascii=False) + "\n"


def _describe(config: ModelConfig, files: dict[str, tuple[int, str]]) -> str:
    """The card: a header in YAML, then use, files and record. Quoted texts are JSON, which YAML contains."""
    kinds = sorted({name.rpartition(".")[2] for name in files})
    header = [
        f"license: {json.dumps(_licence_on_hub(config.licence))}",
        "library_name: cleanplate",
        "pipeline_tag: image-segmentation",
        f"tags: {json.dumps(['image-matting', 'background-matting', 'video-matting', *kinds])}",
    ]
    plate = "--plate plate.jpg " if config.needs_plate else "--plate none "
    rows = [f"| `{name}` | {size:,} | `{sha256}` |" for name, (size, sha256) in files.items()]
    record = [f"| {key} | {value} |" for key, value in config.to_dict().items() if value not in (None, "")]
    lines = ["---", *header, "---", f"# {config.name} {config.version}"]
    lines += [
        "",
        f"A matting model for cleanplate: {FAMILIES[config.family]}.",
    ]
    lines += ["", config.note] if config.note else []
    lines += ["", "```sh", "pip install 'cleanplate[hub]'"]
    lines += [f"cleanplate image photo.jpg {plate}--model hf:OWNER/NAME@REVISION -o cut.png", "```"]
    lines += [
        "A revision is a branch, a tag or a commit; the first use records its commit, and later ones take it."
    ]
    lines += ["", "## Files", "| file | bytes | SHA-256 |", "| --- | --- | --- |", *rows]
    lines += ["", "## Record", "| entry | value |", "| --- | --- |", *record]
    return "\n".join(lines) + "\n"


def _licence_on_hub(licence: str) -> str:
    """The hub's name of an SPDX licence."""
    return licence.lower().removesuffix("-only").removesuffix("-or-later")

"""Writes a model in a format: first to a temporary folder for the check, then to its path."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from cleanplate.errors import OutputError
from cleanplate.export.export_options import ExportOptions
from cleanplate.export.parity import Difference, check_export
from cleanplate.export.quantisation import describe_int8
from cleanplate.export.targets import FORMATS, RECORD, SAVED_MODEL_ENTRIES, find_writer
from cleanplate.models.registry import Model
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import make_folder


def export_model(
    model: Model,
    kind: str,
    path: Path | None = None,
    options: ExportOptions | None = None,
    *,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[list[Path], Difference | str]:
    """Write ``model`` and verify that the written files give the same numbers.

    Args:
        model: A model with weights for PyTorch.
        kind: A key of ``FORMATS``.
        path: Path of the result; for several files, their common beginning and suffix. None: the model's name
            (with ``-int8`` for int8) in the current folder.
        options: Options of the export; None: every size, float32, the format's default layout.
        overwrite: Whether results of that name may be replaced.
        say: Callback for messages of progress.

    Returns:
        The written files, and the difference from PyTorch, or the reason why it was not compared on this
        machine.

    Raises:
        OptionError: The format cannot hold this model or option.
        ModelError: The model has no weights, or the result differs from PyTorch by more than the bound; it is
            then deleted.
        OutputError: The result exists or cannot be written.
        MissingExtraError: A library is not installed.
    """
    options = options or ExportOptions()
    writer = find_writer(kind, model, options)
    path = path or Path((describe_int8(model.config) if options.calibrate else model.config).name)
    if path.suffix != FORMATS[kind].suffix:
        path = path.with_name(path.name + FORMATS[kind].suffix)
    make_folder(path.parent)
    # Existing results are refused before the work.
    _refuse(path, overwrite)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    except OSError as error:
        raise OutputError(f"'{path.parent}' cannot be written to: {reason_of(error)}.") from error
    try:
        say(f"writing {kind}")
        exported = writer(model, scratch / path.name, options)
        say("comparing with PyTorch")
        verdict = exported.unchecked or check_export(model, options, exported)
        targets = [path.parent / written.name for written in exported.paths]
        for target in targets:
            _refuse(target, overwrite)
        for written, target in zip(exported.paths, targets, strict=True):
            _move(written, target, scratch)
        return targets, verdict
    except OSError as error:
        raise OutputError(f"The model cannot be written to '{path}': {reason_of(error)}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _refuse(target: Path, overwrite: bool) -> None:
    """Raise OutputError if ``target`` must not be replaced; a folder may be only if it is a saved model."""
    if not target.exists():
        return
    if not overwrite:
        raise OutputError(f"{target} exists already.", "choose another name, or add --overwrite")
    if target.is_dir() and any(True for _ in target.iterdir()) and not _is_saved_model(target):
        raise OutputError(f"{target} is a folder, and no exported model.", "choose another name")


def _is_saved_model(folder: Path) -> bool:
    """Tell whether a folder holds only files of an export: its record, or a Core ML package."""
    inside = {entry.name for entry in folder.iterdir()}
    ours = (folder / "assets" / RECORD).is_file() and inside <= SAVED_MODEL_ENTRIES
    return ours or (folder / "Manifest.json").is_file()


def _move(written: Path, target: Path, scratch: Path) -> None:
    """Move the result to its path; a replaced folder is deleted with the scratch folder."""
    if target.is_dir():
        target.rename(scratch / f"{target.name}.replaced")
    written.replace(target)

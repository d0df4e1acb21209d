"""Write a model in a format: beside the target first, checked there, then moved into place."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from cleanplate.errors import OutputError
from cleanplate.export.options import ExportOptions
from cleanplate.export.parity import Difference, check_export
from cleanplate.export.quantisation import describe_int8
from cleanplate.export.targets import FORMATS, RECORD, SAVED_MODEL_ENTRIES, find_writer
from cleanplate.models.registry import Model
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
    """Write ``model`` and prove that what was written gives the same numbers.

    Args:
        model: With weights for PyTorch.
        kind: A key of ``FORMATS``.
        path: Of the result; where there are several files, their common beginning and suffix. None: the
            model's name, with ``-int8`` if it is, in the current folder.
        options: How it should be; None: every size, float32, and what the format holds best.
        overwrite: Whether results of that name may be replaced.
        say: Hears what is being done.

    Returns:
        What was written, and its difference from PyTorch; or why it could not be compared on this machine.

    Raises:
        OptionError: The format cannot hold this.
        ModelError: The model has no weights, or what was written differs from PyTorch by more than the bound;
            then nothing is left of it.
        OutputError: The result exists or cannot be written.
        MissingExtraError: A library is not installed.
    """
    options = options or ExportOptions()
    writer = find_writer(kind, model, options)
    path = path or Path((describe_int8(model.config) if options.calibrate else model.config).name)
    if path.suffix != FORMATS[kind].suffix:
        path = path.with_name(path.name + FORMATS[kind].suffix)
    make_folder(path.parent)
    # What is certain to be in the way is found before the work.
    _refuse(path, overwrite)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    except OSError as error:
        raise OutputError(f"'{path.parent}' cannot be written to: {error.strerror}.") from error
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
        raise OutputError(f"The model cannot be written to '{path}': {error}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _refuse(target: Path, overwrite: bool) -> None:
    """Raise OutputError where ``target`` must not be replaced: a folder only if it is a saved model."""
    if not target.exists():
        return
    if not overwrite:
        raise OutputError(f"{target} exists already.", "choose another name, or add --overwrite")
    if target.is_dir() and any(True for _ in target.iterdir()) and not _is_saved_model(target):
        raise OutputError(f"{target} is a folder, and no exported model.", "choose another name")


def _is_saved_model(folder: Path) -> bool:
    """Whether all in a folder is what an export writes: its own record, or a Core ML package."""
    inside = {entry.name for entry in folder.iterdir()}
    ours = (folder / "assets" / RECORD).is_file() and inside <= SAVED_MODEL_ENTRIES
    return ours or (folder / "Manifest.json").is_file()


def _move(written: Path, target: Path, scratch: Path) -> None:
    """Put what was written in its place; a folder that it replaces goes with the scratch folder."""
    if target.is_dir():
        target.rename(scratch / f"{target.name}.replaced")
    written.replace(target)

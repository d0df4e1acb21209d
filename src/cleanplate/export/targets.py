"""Formats of export, with their writers and their limits."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleanplate.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from pathlib import Path

    from cleanplate.export.export_options import Exported, ExportOptions
    from cleanplate.models.registry import Model

    Writer = Callable[[Model, Path, ExportOptions], Exported]


@dataclass(frozen=True)
class ExportFormat:
    """One format.

    Its function ``(model, path, options)`` writes to ``path``, in a new empty folder; the files are
    moved to the user's path once they have passed the check. It may write several files; their names begin
    with that of ``path`` without its suffix.

    Attributes:
        suffix: Suffix of the path.
        what: Description in words.
        writer: Module and function.
        libraries: Modules that must be importable.
        extra: The extra that installs them.
        single_file: Whether it can hold one graph with the router inside.
        two_files: Whether it can hold coarse network and refiner in separate files.
        recurrent: Whether it can hold a model without a plate.
        int8: Whether it can hold convolutions in int8.
    """

    suffix: str
    what: str
    writer: tuple[str, str]
    libraries: tuple[str, ...]
    extra: str
    single_file: bool = False
    two_files: bool = True
    recurrent: bool = False
    int8: bool = False


FORMATS = {
    "onnx": ExportFormat(
        ".onnx", "ONNX, for ONNX Runtime, browsers and most else", ("onnx_export", "export_onnx_files"),
        ("torch", "onnx", "onnxscript"), "export", single_file=True, recurrent=True, int8=True,
    ),
    "torchscript": ExportFormat(
        ".pt", "TorchScript, used like BGMv2's, also from C++", ("torchscript_export", "export_torchscript"),
        ("torch",), "torch", single_file=True,
    ),
    "nuke": ExportFormat(
        ".pt", "TorchScript for the Inference node of Nuke", ("nuke_export", "export_nuke"),
        ("torch",), "torch", single_file=True,
    ),
    "savedmodel": ExportFormat(
        "", "TensorFlow SavedModel, the whole keyer and both networks", ("savedmodel", "export_savedmodel"),
        ("tensorflow", "onnx"), "tensorflow", single_file=True,
    ),
    "tflite": ExportFormat(
        ".tflite", "TensorFlow Lite, for phones", ("tflite_export", "export_tflite"),
        ("tensorflow", "onnx"), "tensorflow",
    ),
    "openvino": ExportFormat(
        ".xml", "OpenVINO, for Intel's processors", ("openvino_export", "export_openvino"),
        ("openvino",), "openvino",
    ),
    "executorch": ExportFormat(
        ".pte", "ExecuTorch, for phones and small devices", ("executorch_export", "export_executorch"),
        ("torch", "executorch"), "executorch",
    ),
    "coreml": ExportFormat(
        ".mlpackage", "Core ML, for Apple's devices", ("coreml_export", "export_coreml"),
        ("torch", "coremltools"), "coreml",
    ),
}  # fmt: skip


RECORD = "cleanplate.json"
"""Name of the model's record among the assets of a SavedModel."""

SAVED_MODEL_ENTRIES = {"assets", "fingerprint.pb", "saved_model.pb", "variables"}
"""All entries in the folder of a SavedModel."""


def find_writer(name: str, model: Model, options: ExportOptions) -> Writer:
    """Give the function that writes a format.

    Raises:
        OptionError: The format is unknown, or cannot hold this model or option.
        MissingExtraError: Its libraries are not installed.
    """
    if name not in FORMATS:
        raise OptionError(f"Unknown format {name!r}.", f"known: {', '.join(FORMATS)}")
    kind = FORMATS[name]
    if not model.config.needs_plate and not kind.recurrent:
        able = ", ".join(name for name, kind in FORMATS.items() if kind.recurrent)
        raise OptionError(
            f"'{model.config.name}', which works without a plate, cannot be written as {name}.",
            f"formats that can hold it: {able}",
        )
    if options.single_file and not kind.single_file:
        able = ", ".join(name for name, kind in FORMATS.items() if kind.single_file)
        raise OptionError(f"A single file cannot be written as {name}.", f"formats for that: {able}")
    if options.calibrate is not None:
        _refuse_int8(name, model, options)
    if not all(importlib.util.find_spec(library) for library in kind.libraries):
        raise MissingExtraError(kind.extra, f"Writing {name}")
    module, function = kind.writer
    writer: Writer = getattr(importlib.import_module(f"cleanplate.export.{module}"), function)
    return writer


def _refuse_int8(name: str, model: Model, options: ExportOptions) -> None:
    """Raise OptionError if this cannot be written in int8."""
    if not FORMATS[name].int8:
        able = ", ".join(name for name, kind in FORMATS.items() if kind.int8)
        raise OptionError(f"int8 cannot be written as {name}.", f"formats for that: {able}")
    if not model.config.needs_plate:
        raise OptionError(f"'{model.config.name}', which works without a plate, cannot be written in int8.")
    if options.single_file:
        raise OptionError("A single file cannot be written in int8.", "leave out --single-file or --int8")
    if options.half:
        raise OptionError("int8 and half precision exclude each other.", "leave out --half or --int8")

"""Table of the runtimes: those of this package, and those of plug-ins."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any, Literal

from cleanplate.models.registry import Model
from cleanplate.system.plugins import (
    Plugin,
    explaining_plugin,
    find_plugins,
    leaving_out,
    load_plugin,
    working_plugins,
)
from cleanplate.vocabulary import PRECISIONS, RUNTIMES

_HERE = "cleanplate.runtimes"


@dataclass(frozen=True)
class RuntimeKind:
    """A kind of runtime: one of this package, or of a plug-in.

    The module of a runtime has ``DEVICES``; ``working_devices()``, the list of those on this machine;
    ``describe(device)``, a description of one of these; and ``INSTALL_HINTS`` for the others.

    Attributes:
        library: Module that must be importable; of a plug-in, its name.
        extra: The extra that installs it; None: the core.
        files: Kind of files that it loads.
        opens: Module and class for models with a plate; of a plug-in, its object and a function.
        opens_recurrent: Module and class for models without a plate; None if it cannot run these.
        precisions: Its number formats; its class takes a precision if there are several.
        plugin: The plug-in that brings it; None: this package.
    """

    library: str
    extra: str | None
    files: Literal["onnx", "weights"]
    opens: tuple[str, str]
    opens_recurrent: tuple[str, str] | None = None
    precisions: tuple[str, ...] = ("float32",)
    plugin: Plugin | None = None

    @property
    def module(self) -> Any:
        return load_plugin(self.plugin) if self.plugin else importlib.import_module(self.opens[0])

    @property
    def is_installed(self) -> bool:
        return self.plugin is not None or importlib.util.find_spec(self.library) is not None

    def has_files(self, model: Model) -> bool:
        onnx = model.coarse_onnx or model.recurrent_onnx
        return (onnx if self.files == "onnx" else model.weights) is not None


KINDS = {
    "onnx": RuntimeKind(
        "onnxruntime",
        None,
        "onnx",
        (f"{_HERE}.onnx_runtime", "OnnxRuntime"),
        (f"{_HERE}.recurrent_onnx_runtime", "RecurrentOnnx"),
    ),
    "torch": RuntimeKind(
        "torch",
        "torch",
        "weights",
        (f"{_HERE}.torch_runtime", "TorchRuntime"),
        (f"{_HERE}.recurrent_torch_runtime", "RecurrentTorch"),
        PRECISIONS,
    ),
    "torchscript": RuntimeKind(
        "torch",
        "torch",
        "weights",
        (f"{_HERE}.torchscript_runtime", "TorchScriptRuntime"),
        precisions=PRECISIONS,
    ),
    "tensorflow": RuntimeKind(
        "tensorflow", "tensorflow", "onnx", (f"{_HERE}.tensorflow_runtime", "TensorFlowRuntime")
    ),
    "openvino": RuntimeKind("openvino", "openvino", "onnx", (f"{_HERE}.openvino_runtime", "OpenVinoRuntime")),
}


def runtime_names() -> tuple[str, ...]:
    """Names of the runtimes: ``RUNTIMES``, then those of plug-ins; nothing is imported."""
    return (*RUNTIMES, *(name for name in find_plugins("runtime") if name not in RUNTIMES))


def find_kind(name: str) -> RuntimeKind:
    """Find a runtime by a name of :func:`runtime_names`.

    Raises:
        UnavailableError: It is a broken plug-in.
    """
    if name in KINDS:
        return KINDS[name]
    plugin = find_plugins("runtime")[name]
    return _describe_plugin(plugin, load_plugin(plugin))


def list_kinds() -> dict[str, RuntimeKind]:
    """All runtimes by name; a broken plug-in is left out with a warning."""
    found = dict(KINDS)
    for plugin, module in working_plugins("runtime"):
        with leaving_out(plugin):
            found.setdefault(plugin.name, _describe_plugin(plugin, module))
    return found


def _describe_plugin(plugin: Plugin, module: Any) -> RuntimeKind:
    with explaining_plugin(plugin):
        if module.FILES not in ("onnx", "weights"):
            raise ValueError(f"FILES is {module.FILES!r}, not 'onnx' or 'weights'")
    return RuntimeKind(plugin.name, None, module.FILES, (plugin.target, "open_runtime"), plugin=plugin)

"""List of the runtimes, and choice of the best one for a model and a machine."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanplate.errors import MissingExtraError, OptionError, UnavailableError
from cleanplate.models.registry import Model
from cleanplate.runtimes.recurrent_runtime import RecurrentRuntime
from cleanplate.runtimes.runtime import Runtime
from cleanplate.runtimes.runtime_kinds import KINDS, RuntimeKind, find_kind, list_kinds, runtime_names
from cleanplate.system.plugins import explaining_plugin
from cleanplate.vocabulary import PRECISIONS, RUNTIMES

DEVICES = ("cpu", "cuda", "mps", "tensorrt", "directml", "coreml", "openvino", "gpu", "npu")

# Fastest first. TensorRT takes minutes to build its engines, CoreML and OpenVINO compile for each size:
# these are used on request only.
_PREFERENCE = (
    ("torch", "cuda"),
    ("onnx", "cuda"),
    ("onnx", "directml"),
    ("torch", "mps"),
    ("onnx", "cpu"),
    ("torch", "cpu"),
)

# Device files of an NVIDIA GPU, of one under WSL, and of an AMD GPU on Linux.
_GPU_NODES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


@dataclass(frozen=True)
class Availability:
    """Availability of a device for a runtime on this machine.

    Attributes:
        runtime: A name of ``RUNTIMES``, or of a plug-in's runtime.
        device: The user's name of the device.
        available: Whether it can be used.
        detail: Description of the device, or a hint what to install.
    """

    runtime: str
    device: str
    available: bool
    detail: str


def available_runtimes() -> list[Availability]:
    """List every known runtime and device, with a description or the missing part."""
    return [row for name, kind in list_kinds().items() for row in _list_devices(name, kind)]


def has_files_for(runtime: str, model: Model) -> bool:
    """Tell whether a runtime, of this package or of a plug-in, can run this model, if it is installed."""
    kind = find_kind(runtime)
    return kind.has_files(model) and (model.config.needs_plate or kind.opens_recurrent is not None)


def _list_devices(name: str, kind: RuntimeKind) -> list[Availability]:
    if not kind.is_installed:
        return [Availability(name, "cpu", False, f"pip install 'cleanplate[{kind.extra}]'")]
    module = kind.module
    try:
        with _explaining(kind):
            working = module.working_devices()
            return [
                Availability(name, device, True, module.describe(device))
                if device in working
                else Availability(name, device, False, module.INSTALL_HINTS[device])
                for device in module.DEVICES
            ]
    except UnavailableError as error:
        return [Availability(name, "cpu", False, error.message)]


def _explaining(kind: RuntimeKind) -> AbstractContextManager[None]:
    """Explain errors in the code of a plug-in."""
    return nullcontext() if kind.plugin is None else explaining_plugin(kind.plugin)


def open_runtime(
    model: Model,
    runtime: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
) -> Runtime[Any]:
    """Load a model, by default on the fastest runtime and device.

    Args:
        model: A model of ``cleanplate.models``.
        runtime: ``auto``, one of ``RUNTIMES``, or the name of a plug-in's runtime.
        device: ``auto``, or one of ``DEVICES``. A named device is used or refused, never replaced.
        threads: CPU threads within an operator; None for one per core.
        precision: ``auto``: float32 on a CPU, the runtime's own choice elsewhere; or one of ``PRECISIONS``.

    Raises:
        OptionError: The runtime, device or precision is unknown, their combination does not exist, or the
            model works without a plate.
        UnavailableError: It is missing on this machine; the hint names the package to install.
        ModelError: The model's files are damaged, or it has none for this runtime.
    """
    if not model.config.needs_plate:
        raise OptionError(
            f"The model '{model.config.name}' works without a plate.", "leave the plate out: --plate=none"
        )
    opened: Runtime[Any] = _open_fastest(model, runtime, device, threads, precision)
    return opened


def open_recurrent_runtime(
    model: Model,
    runtime: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
) -> RecurrentRuntime:
    """Load a model that works without a plate, like :func:`open_runtime`."""
    opened: RecurrentRuntime = _open_fastest(model, runtime, device, threads, precision)
    return opened


def _open_fastest(model: Model, runtime: str, device: str, threads: int | None, precision: str) -> Any:
    if runtime not in ("auto", *RUNTIMES) and runtime not in runtime_names():
        raise OptionError(f"Unknown runtime {runtime!r}.", f"known: auto, {', '.join(runtime_names())}")
    if device not in ("auto", *DEVICES):
        raise OptionError(f"Unknown device {device!r}.", f"known: auto, {', '.join(DEVICES)}")
    if threads is not None and threads < 1:
        raise OptionError(f"Expected at least one thread, got {threads}.")
    if precision not in ("auto", *PRECISIONS):
        raise OptionError(f"Unknown precision {precision!r}.", f"known: auto, {', '.join(PRECISIONS)}")
    if runtime != "auto" and device != "auto":
        return _open(model, runtime, device, threads, precision)
    *candidates, last = _list_candidates(model, runtime, device, precision)
    for name, place in candidates:
        if KINDS[name].library == "torch" and not _may_have(place):
            continue
        with suppress(UnavailableError):
            return _open(model, name, place, threads, precision)
    return _open(model, *last, threads, precision)


def _list_candidates(model: Model, runtime: str, device: str, precision: str) -> list[tuple[str, str]]:
    """List the runtimes and devices to try, in order; never empty."""
    if runtime not in ("auto", *(name for name, _ in _PREFERENCE)):
        # Libraries that are used only on request: on the CPU, unless another device is named.
        return [(runtime, "cpu")]
    fitting = _list_preferred(runtime, device)
    if precision != "auto":
        fitting = [pair for pair in fitting if precision in KINDS[pair[0]].precisions] or fitting
    fitting = fitting or [("onnx", device)]
    return [pair for pair in fitting if KINDS[pair[0]].has_files(model)] or fitting


def _list_preferred(runtime: str, device: str) -> list[tuple[str, str]]:
    """List the runtimes and devices of the preference that fit, in order; may be empty."""
    return [pair for pair in _PREFERENCE if runtime in ("auto", pair[0]) and device in ("auto", pair[1])]


def expect_place(runtime: str = "auto", device: str = "auto") -> tuple[str, str]:
    """Runtime and device that :func:`open_runtime` is expected to take for a model with all files.

    Nothing is opened: a device that is listed but fails to start counts as working.

    Args:
        runtime: ``auto``, or the name of a runtime.
        device: ``auto``, or the name of a device.
    """
    for name, place in _list_preferred(runtime, device):
        kind = KINDS[name]
        if not kind.is_installed or (kind.library == "torch" and not _may_have(place)):
            continue
        # The package for CUDA lists CUDA on machines without a GPU, too.
        if (name, place) == ("onnx", "cuda") and not _may_have_gpu():
            continue
        with suppress(UnavailableError):
            if place in kind.module.working_devices():
                return name, place
    return runtime, device


def _may_have(place: str) -> bool:
    """Tell whether importing PyTorch to look for an accelerator is worthwhile; the import takes a second."""
    if place == "mps":
        return sys.platform == "darwin"
    if place != "cuda":
        return True
    with suppress(importlib.metadata.PackageNotFoundError):
        if importlib.metadata.version("torch").endswith("+cpu"):
            return False
    return _may_have_gpu()


def _may_have_gpu() -> bool:
    return sys.platform != "linux" or any(Path(node).exists() for node in _GPU_NODES)


def _open(model: Model, runtime: str, device: str, threads: int | None, precision: str) -> Any:
    kind = find_kind(runtime)
    if not kind.is_installed:
        raise MissingExtraError(str(kind.extra), f"The {runtime} runtime")
    wanted = kind.opens if model.config.needs_plate else kind.opens_recurrent
    if wanted is None:
        able = ", ".join(name for name, kind in KINDS.items() if kind.opens_recurrent)
        raise OptionError(
            f"The {runtime} runtime cannot run '{model.config.name}', which works without a plate.",
            f"runtimes that can: {able}",
        )
    if precision != "auto" and precision not in kind.precisions:
        able = ", ".join(name for name, kind in KINDS.items() if precision in kind.precisions)
        raise OptionError(
            f"The {runtime} runtime does not compute in {precision}.", f"runtimes that can: {able}"
        )
    module = kind.module if wanted is kind.opens else importlib.import_module(wanted[0])
    chosen = {"precision": precision} if len(kind.precisions) > 1 else {}
    with _explaining(kind):
        return getattr(module, wanted[1])(model, device, threads, **chosen)

"""Which runtimes there are, and which to take."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanplate.errors import MissingExtraError, OptionError, UnavailableError
from cleanplate.models.registry import Model
from cleanplate.runtimes import onnx_runtime
from cleanplate.runtimes.base import Runtime
from cleanplate.runtimes.recurrent import RecurrentRuntime

RUNTIMES = ("onnx", "torch")
DEVICES = ("cpu", "cuda", "mps", "tensorrt", "directml", "coreml", "openvino")

# Fastest first. TensorRT builds its engines for minutes, CoreML and OpenVINO compile anew for each size:
# those are for people who ask for them.
_PREFERENCE = (
    ("torch", "cuda"),
    ("onnx", "cuda"),
    ("onnx", "directml"),
    ("torch", "mps"),
    ("onnx", "cpu"),
    ("torch", "cpu"),
)

# What Linux shows of an NVIDIA GPU, of one under WSL, and of one of AMD.
_GPU_NODES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


@dataclass(frozen=True)
class Availability:
    """Whether a runtime can use a device on this machine.

    Attributes:
        runtime: ``onnx`` or ``torch``.
        device: As the user names it.
        available: Whether it is there.
        detail: What is there, or what to install.
    """

    runtime: str
    device: str
    available: bool
    detail: str


def available_runtimes() -> list[Availability]:
    """List every runtime and device this package knows: what is here, and what is missing for the others."""
    installed = onnx_runtime.installed_devices()
    rows = [
        Availability("onnx", device, True, onnx_runtime.describe(device))
        if device in installed
        else Availability("onnx", device, False, onnx_runtime.INSTALL_HINTS[device])
        for device in onnx_runtime.PROVIDERS
    ]
    if importlib.util.find_spec("torch") is None:
        return [*rows, Availability("torch", "cpu", False, "pip install 'cleanplate[torch]'")]
    from cleanplate.runtimes import torch_runtime

    working = torch_runtime.working_devices()
    return rows + [
        Availability("torch", device, True, torch_runtime.describe(device))
        if device in working
        else Availability("torch", device, False, torch_runtime.INSTALL_HINTS[device])
        for device in torch_runtime.DEVICES
    ]


def open_runtime(
    model: Model, runtime: str = "auto", device: str = "auto", threads: int | None = None
) -> Runtime[Any]:
    """Load a model, by default where it runs fastest.

    Args:
        model: From ``cleanplate.models``.
        runtime: ``auto``, ``onnx`` or ``torch``.
        device: ``auto``, or one of ``DEVICES``. What is asked for is used or refused, never replaced.
        threads: CPU threads within an operator; None for one per core.

    Raises:
        OptionError: An unknown runtime or device, a pair that does not exist, or a model without a plate.
        UnavailableError: This machine lacks it; the hint says what to install.
        ModelError: The model's files are damaged, or it has none for this runtime.
    """
    if not model.config.needs_plate:
        raise OptionError(
            f"The model '{model.config.name}' works without a plate.", "leave the plate out: --plate none"
        )
    opened: Runtime[Any] = _open_fastest(model, runtime, device, threads)
    return opened


def open_recurrent_runtime(
    model: Model, runtime: str = "auto", device: str = "auto", threads: int | None = None
) -> RecurrentRuntime:
    """Like :func:`open_runtime`, for a model that needs no plate."""
    opened: RecurrentRuntime = _open_fastest(model, runtime, device, threads)
    return opened


def _open_fastest(model: Model, runtime: str, device: str, threads: int | None) -> Any:
    if runtime not in ("auto", *RUNTIMES):
        raise OptionError(f"Unknown runtime {runtime!r}.", f"known: auto, {', '.join(RUNTIMES)}")
    if device not in ("auto", *DEVICES):
        raise OptionError(f"Unknown device {device!r}.", f"known: auto, {', '.join(DEVICES)}")
    if threads is not None and threads < 1:
        raise OptionError(f"Expected at least one thread, got {threads}.")
    if runtime != "auto" and device != "auto":
        return _open(model, runtime, device, threads)
    fitting = [pair for pair in _PREFERENCE if runtime in ("auto", pair[0]) and device in ("auto", pair[1])]
    fitting = fitting or [("onnx", device)]
    files = {"onnx": model.coarse_onnx or model.recurrent_onnx, "torch": model.weights}
    *candidates, last = [pair for pair in fitting if files[pair[0]]] or fitting
    for name, place in candidates:
        if name == "torch" and not _may_have(place):
            continue
        with suppress(UnavailableError):
            return _open(model, name, place, threads)
    return _open(model, *last, threads)


def _may_have(device: str) -> bool:
    """Say whether importing PyTorch to ask it for an accelerator can pay; the import takes a second."""
    if device == "mps":
        return sys.platform == "darwin"
    if device != "cuda":
        return True
    with suppress(importlib.metadata.PackageNotFoundError):
        if importlib.metadata.version("torch").endswith("+cpu"):
            return False
    return sys.platform != "linux" or any(Path(node).exists() for node in _GPU_NODES)


def _open(model: Model, runtime: str, device: str, threads: int | None) -> Any:
    recurrent = not model.config.needs_plate
    if runtime == "onnx":
        if recurrent:
            from cleanplate.runtimes.recurrent_onnx import RecurrentOnnx

            return RecurrentOnnx(model, device, threads)
        return onnx_runtime.OnnxRuntime(model, device, threads)
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "The torch runtime")
    if recurrent:
        from cleanplate.runtimes.recurrent_torch import RecurrentTorch

        return RecurrentTorch(model, device, threads)
    from cleanplate.runtimes.torch_runtime import TorchRuntime

    return TorchRuntime(model, device, threads)

"""PyTorch (extra ``torch``): on the CPU, on NVIDIA and AMD GPUs (``cuda``) and on Apple's (``mps``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cleanplate.errors import ModelError, OptionError, UnavailableError
from cleanplate.models.load import load_network
from cleanplate.models.registry import Model
from cleanplate.router import Coarse, Router
from cleanplate.router.torch_router import TorchRouter

DEVICES = ("cpu", "cuda", "mps")

INSTALL_HINTS = {
    "cuda": "install a CUDA build of PyTorch and NVIDIA's driver: https://pytorch.org/get-started",
    "mps": "needs PyTorch on a Mac with Apple silicon",
}


def working_devices() -> list[str]:
    """List the devices that this PyTorch can use on this machine."""
    works = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [device for device in DEVICES if works[device]]


class TorchRuntime:
    """PyTorch; see :class:`cleanplate.runtimes.runtime.Runtime`.

    Args:
        model: A model with weights.
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads within an operator, for this whole process; None leaves them as they are.
        precision: ``float32``, ``float16`` or ``bfloat16``; ``auto``: float16 on a GPU, else float32.

    Raises:
        OptionError: No such device, or float16 on a CPU.
        UnavailableError: The device is missing.
        ModelError: The model has no weights for PyTorch, or they are damaged.
    """

    name = "torch"

    def __init__(
        self, model: Model, device: str = "cpu", threads: int | None = None, precision: str = "auto"
    ) -> None:
        dtype = open_device(device, threads, precision)
        self.model = model
        self.device = device
        self.description = describe(device, dtype)
        self.router: Router[Tensor] = TorchRouter(torch.device(device), dtype)
        network: Any = load_network(model).requires_grad_(False).to(device, dtype)
        self._network = network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def coarse(self, source: Tensor, plate: Tensor) -> Coarse[Tensor]:
        return Coarse(*self._network.coarse(source, plate))

    @torch.inference_mode()
    def refine(self, half: Tensor, full: Tensor) -> Tensor:
        if self._network.refiner is None:
            raise ModelError(f"The model '{self.model.config.name}' has no refiner.")
        refined: Tensor = self._network.refiner(half, full)
        return refined


def open_device(device: str, threads: int | None, precision: str = "auto") -> torch.dtype:
    """Verify the device, set the process's CPU threads unless None, and choose the number format.

    Raises:
        OptionError: No such device, or float16 on a CPU, which is slow or not supported there.
        UnavailableError: The device is missing.
    """
    if device not in DEVICES:
        raise OptionError(f"Unknown device {device!r} for torch.", f"known: {', '.join(DEVICES)}")
    if device not in working_devices():
        raise UnavailableError(
            f"PyTorch {torch.__version__} finds no {device!r} here.", INSTALL_HINTS[device]
        )
    if (device, precision) == ("cpu", "float16"):
        raise OptionError("float16 is too slow on a CPU.", "use bfloat16 or float32")
    if threads is not None:
        torch.set_num_threads(threads)
    if precision == "auto":
        return _dtype(device)
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def _dtype(device: str) -> torch.dtype:
    return torch.float32 if device == "cpu" else torch.float16


def describe(device: str, dtype: torch.dtype | None = None) -> str:
    """Describe a working device in words, with its number format unless that is float32."""
    where = f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
    dtype = dtype or _dtype(device)
    precision = "" if dtype == torch.float32 else f", {str(dtype).removeprefix('torch.')}"
    return f"PyTorch {torch.__version__} on {where}{precision}"

"""RVM in PyTorch: on the CPU, on NVIDIA and AMD GPUs (``cuda``) and on Apple's (``mps``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cleanplate.frame import Float32Array, Pixels
from cleanplate.models.load import load_network
from cleanplate.models.registry import Model
from cleanplate.router.torch_router import FULL_RANGE, TorchRouter, to_pixels
from cleanplate.runtimes.recurrent_runtime import Keyed
from cleanplate.runtimes.torch_runtime import describe, open_device

if TYPE_CHECKING:
    from cleanplate.models.networks.rvm import State


class RecurrentTorch:
    """RVM in PyTorch; see :class:`cleanplate.runtimes.recurrent_runtime.DeviceRecurrentRuntime`.

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
        self._dtype = open_device(device, threads, precision)
        self.model = model
        self.device = device
        self.description = describe(device, self._dtype)
        self.router = TorchRouter(torch.device(device), self._dtype)
        network: Any = load_network(model).requires_grad_(False).to(device, self._dtype)
        self._network = network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def key(self, frames: Pixels, state: State | None, ratio: float) -> Keyed:
        alpha, foreground, state = self.key_on_device(self.router.upload(frames), state, ratio)
        bring = self.router.transfers.bring
        return Keyed(bring(alpha), bring(to_pixels(foreground)), state)

    @torch.inference_mode()
    def key_on_device(
        self, frames: Tensor, state: State | None, ratio: float
    ) -> tuple[Tensor, Tensor, State | None]:
        top = FULL_RANGE[frames.dtype]
        matte = self._network((frames.float() / top).to(self._dtype)[None], state, ratio)
        foreground = (matte.foreground[0].float() * top).round_().to(frames.dtype)
        return matte.alpha[0, :, 0].float(), foreground, matte.state

    def pack(self, state: State) -> tuple[Float32Array, ...]:
        return tuple(part.float().cpu().numpy() for part in state)

    def unpack(self, arrays: tuple[Float32Array, ...]) -> State:
        first, second, third, fourth = (
            torch.from_numpy(array).to(self.device, self._dtype) for array in arrays
        )
        return first, second, third, fourth

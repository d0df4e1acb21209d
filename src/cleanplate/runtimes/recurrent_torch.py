"""RVM in PyTorch: on the CPU, on NVIDIA and AMD GPUs (``cuda``) and on Apple's (``mps``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cleanplate.frame import Pixels
from cleanplate.models.build import load_network
from cleanplate.models.registry import Model
from cleanplate.runtimes.recurrent import Keyed
from cleanplate.runtimes.torch_runtime import describe, open_device

if TYPE_CHECKING:
    from cleanplate.networks.recurrent import State


class RecurrentTorch:
    """See :class:`cleanplate.runtimes.recurrent.RecurrentRuntime`.

    Args:
        model: With weights.
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads within an operator, for this whole process; None leaves them as they are.
        precision: ``float32``, ``float16`` or ``bfloat16``; ``auto``: float16 on a GPU, else float32.

    Raises:
        OptionError: No such device, or float16 on a CPU.
        UnavailableError: The device is not there.
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
        network: Any = load_network(model).requires_grad_(False).to(device, self._dtype)
        self._network = network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def key(self, frames: Pixels, state: State | None, ratio: float) -> Keyed:
        top = np.iinfo(frames.dtype).max
        matte = self._network(self._upload(frames)[None], state, ratio)
        codes = (matte.foreground[0].float() * top).round_().permute(0, 2, 3, 1)
        # torch can do little with uint16; int32 holds it.
        wide = codes.to(torch.uint8 if frames.dtype == np.uint8 else torch.int32).contiguous().cpu().numpy()
        alpha = matte.alpha[0, :, 0].float().cpu().numpy()
        return Keyed(alpha, wide.astype(frames.dtype, copy=False), matte.state)

    def pack(self, state: State) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(part.float().cpu().numpy() for part in state)

    def unpack(self, arrays: tuple[npt.NDArray[np.float32], ...]) -> State:
        first, second, third, fourth = (
            torch.from_numpy(array).to(self.device, self._dtype) for array in arrays
        )
        return first, second, third, fourth

    def _upload(self, frames: Pixels) -> Tensor:
        """Pixels to ``(time, 3, height, width)`` in [0, 1]; they travel as they are and are divided there."""
        wide = frames if frames.dtype == np.uint8 else frames.astype(np.int32)
        pixels = torch.from_numpy(np.ascontiguousarray(wide)).to(self.device).permute(0, 3, 1, 2)
        return (pixels.float() / float(np.iinfo(frames.dtype).max)).to(self._dtype)

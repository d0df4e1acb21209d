"""Copies between main memory and a torch router's device, while the device computes.

On CUDA each direction has a stream of its own and pinned memory on the host. PyTorch's allocator reuses
pinned memory only after its array was freed and the copies from or to it are done. So there are as many
buffers as pictures in transfer, normally two in each direction, and no buffer changes while it is being read.
On other devices a copy is done when the call returns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cleanplate.frame import AnyArray, Pixels

_TYPES = {np.dtype(np.uint8): torch.uint8, np.dtype(np.uint16): torch.uint16}


@dataclass(frozen=True)
class Sent:
    """Pixels on their way to the device, from :meth:`Transfers.send`."""

    tensor: Tensor
    arrived: torch.cuda.Event | None

    def take(self) -> Tensor:
        """Give the pixels on the device, shaped and typed as sent; the computing stream waits for them.

        Call it in the thread that computes: its current stream is the one that waits.
        """
        if self.arrived is not None:
            stream = torch.cuda.current_stream(self.tensor.device)
            stream.wait_event(self.arrived)
            self.tensor.record_stream(stream)
        return self.tensor


@dataclass(frozen=True)
class Fetched:
    """A tensor on its way to main memory, from :meth:`Transfers.fetch`; a call gives the array."""

    host: Tensor
    arrived: torch.cuda.Event | None

    def __call__(self) -> AnyArray:
        """Wait for the copy, in any thread, and give the array, which owns its memory."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.host.numpy()


@dataclass(frozen=True)
class Traffic:
    """Count of the copies: pictures and bytes, to the device and back."""

    sent: int = 0
    sent_bytes: int = 0
    fetched: int = 0
    fetched_bytes: int = 0


class Transfers:
    """Copies to one device and back; it may be used from several threads.

    Attributes:
        traffic: Count of the copies so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.traffic = Traffic()
        self._device = device
        self._is_cuda = device.type == "cuda"
        self._up = _open_stream(device)
        self._down = _open_stream(device)
        self._lock = threading.Lock()

    def send(self, pixels: Pixels) -> Sent:
        """Begin to copy uint8 or uint16 of any shape to the device; ``pixels`` may change from here on."""
        host = torch.empty(pixels.shape, dtype=_TYPES[pixels.dtype], pin_memory=self._is_cuda)
        np.copyto(host.numpy(), pixels)
        with _on(self._up):
            tensor = host.to(self._device, non_blocking=True)
        self._count(sent=1, sent_bytes=host.nbytes)
        return Sent(tensor, _mark(self._up))

    def fetch(self, tensor: Tensor) -> Fetched:
        """Begin to copy a tensor to main memory, after the work that was submitted before this call.

        The tensor must not be written to from here on; it need not be kept.
        """
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=self._is_cuda)
        if self._down is not None:
            self._down.wait_stream(torch.cuda.current_stream(self._device))
            tensor.record_stream(self._down)
        with _on(self._down):
            host.copy_(tensor, non_blocking=True)
        self._count(fetched=1, fetched_bytes=host.nbytes)
        return Fetched(host, _mark(self._down))

    def bring(self, tensor: Tensor) -> AnyArray:
        """Copy a tensor to main memory at once; to memory that is not pinned, as the caller may keep it."""
        array: AnyArray = tensor.cpu().numpy()
        self._count(fetched=1, fetched_bytes=array.nbytes)
        return array

    def _count(self, **more: int) -> None:
        with self._lock:
            known = vars(self.traffic)
            self.traffic = Traffic(**{name: known[name] + more.get(name, 0) for name in known})


def _open_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Open a stream beside the one that computes; None on devices without streams."""
    if device.type != "cuda":
        return None
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def _on(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Make this stream the current one of this thread; None: leave it as it is."""
    if stream is None:
        yield
    else:
        with torch.cuda.stream(stream):
            yield


def _mark(stream: torch.cuda.Stream | None) -> torch.cuda.Event | None:
    """Record an event at the end of the work submitted to the stream; None where the work is done already."""
    if stream is None:
        return None
    # A blocking event: the waiting thread leaves its core to others.
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    stream.record_event(event)
    return event

"""Copies between main memory and a torch router's device, beside what the device computes.

On CUDA each direction has a stream of its own and pinned memory on its host side. PyTorch keeps pinned memory
that was freed and hands it out again, once nobody holds it and the copies from or to it are done: so there
are as many buffers as pictures on the way, as a rule two in each direction, and none changes under somebody
who still reads it. On other devices a copy is done when the call returns.
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
        """The pixels on the device, shaped and typed as they were sent; what computes with them waits there.

        To be called where it is computed, as the stream that is current waits.
        """
        if self.arrived is not None:
            stream = torch.cuda.current_stream(self.tensor.device)
            stream.wait_event(self.arrived)
            self.tensor.record_stream(stream)
        return self.tensor


@dataclass(frozen=True)
class Fetched:
    """A tensor on its way to main memory, from :meth:`Transfers.fetch`: call it to have the array."""

    host: Tensor
    arrived: torch.cuda.Event | None

    def __call__(self) -> AnyArray:
        """Wait for it, in any thread; the memory is the array's for as long as somebody holds that."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.host.numpy()


@dataclass(frozen=True)
class Traffic:
    """What has been copied: pictures and bytes, to the device and back."""

    sent: int = 0
    sent_bytes: int = 0
    fetched: int = 0
    fetched_bytes: int = 0


class Transfers:
    """The way to one device and back; it may be used from several threads.

    Attributes:
        traffic: What has been copied so far.
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
        """Begin to copy a tensor to main memory, as soon as what was asked for before this call is done.

        Nothing is to be written to the tensor from here on; it may be let go of.
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
        """The tensor in main memory, at once; in memory that is not pinned, as somebody may keep it."""
        array: AnyArray = tensor.cpu().numpy()
        self._count(fetched=1, fetched_bytes=array.nbytes)
        return array

    def _count(self, **more: int) -> None:
        with self._lock:
            known = vars(self.traffic)
            self.traffic = Traffic(**{name: known[name] + more.get(name, 0) for name in known})


def _open_stream(device: torch.device) -> torch.cuda.Stream | None:
    """A stream beside the one that computes; None where there are none."""
    if device.type != "cuda":
        return None
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def _on(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Ask what follows of this stream, in this thread; None: of the one that is current."""
    if stream is None:
        yield
    else:
        with torch.cuda.stream(stream):
            yield


def _mark(stream: torch.cuda.Stream | None) -> torch.cuda.Event | None:
    """An event for when all that was asked of the stream so far is done; None where it is done already."""
    if stream is None:
        return None
    # A thread that waits for it leaves its core to others.
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    stream.record_event(event)
    return event

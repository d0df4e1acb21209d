"""Destinations of mattes: main memory, or the device that computes them.

A keyer has one destination, and makes every matte by the same calls to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from cleanplate.frame import Float32Array, Frame, Matte, Padding
from cleanplate.plate.structure import reduced_size
from cleanplate.plate.tracking.plate_tracker import SUBJECT_SIDE
from cleanplate.plate.tracking.plate_update import VIEW_SIDE
from cleanplate.router import DeviceRouter, stay_with


class Destination(Protocol):
    """Memory in which a keyer hands out its mattes.

    Attributes:
        device_router: Router on whose device mattes stay; None: they are in main memory.
    """

    device_router: DeviceRouter[Any] | None

    def upload(self, frame: Frame, padding: Padding) -> Any:
        """Make the padded picture of a frame for the router."""
        ...

    def refine(self, frame: Frame, padding: Padding, *inputs: Any) -> Matte:
        """Refine a coarse result, and make the matte of it.

        Args:
            frame: The keyed frame.
            padding: Padding of the pictures, which the matte does not have.
            inputs: Arguments of :meth:`cleanplate.router.Router.refine`.
        """
        ...

    def key(self, frame: Frame, state: Any, ratio: float) -> tuple[Matte, Any]:
        """Key a frame with a recurrent network; returns the matte and the state for the next frame."""
        ...

    def show_alpha(self, matte: Matte, *, average: bool) -> tuple[Float32Array, ...]:
        """Bring alpha to main memory, from which the plate learns.

        Args:
            matte: The matte.
            average: Whether averages over areas are needed, too.

        Returns:
            The arguments ``alpha`` and, if it differs, ``covered`` of
            :meth:`cleanplate.plate.tracking.shot.Shot.learn`.
        """
        ...


class MainMemory:
    """Mattes of NumPy arrays.

    Args:
        runtime: The keyer's.
    """

    device_router: DeviceRouter[Any] | None = None

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime

    def upload(self, frame: Frame, padding: Padding) -> Any:
        return self._runtime.router.upload(padding.pad(frame.pixels))

    def refine(self, frame: Frame, padding: Padding, *inputs: Any) -> Matte:
        alpha, foreground = (padding.crop(one[0]) for one in self._runtime.router.refine(*inputs))
        return Matte(np.ascontiguousarray(alpha), np.ascontiguousarray(foreground), frame)

    def key(self, frame: Frame, state: Any, ratio: float) -> tuple[Matte, Any]:
        keyed = self._runtime.key(frame.pixels[None], state, ratio)
        return Matte(keyed.alpha[0], keyed.foreground[0], frame), keyed.state

    def show_alpha(self, matte: Matte, *, average: bool) -> tuple[Float32Array, ...]:  # noqa: ARG002
        return (matte.alpha,)


class DeviceMemory:
    """Mattes of tensors, :class:`cleanplate.compositing.device.device_matte.DeviceMatte`.

    Args:
        runtime: The keyer's.
        router: The runtime's.
    """

    def __init__(self, runtime: Any, router: DeviceRouter[Any]) -> None:
        from cleanplate.compositing.device.device_matte import (
            DeviceMatte,  # needs PyTorch, which such a router has brought
        )

        self.device_router: DeviceRouter[Any] | None = router
        self._runtime, self._router = runtime, router
        self._make_matte = DeviceMatte

    def upload(self, frame: Frame, padding: Padding) -> Any:
        sent = self._router.send(frame.pixels) if frame.sent is None else frame.sent
        return self._router.receive(sent, padding)

    def refine(self, frame: Frame, padding: Padding, *inputs: Any) -> Matte:
        alpha, foreground = self._router.refine_on_device(*inputs)
        rows, columns = slice(padding.height), slice(padding.width)
        return self._make(frame, alpha[0, rows, columns], foreground[0, :, rows, columns])

    def key(self, frame: Frame, state: Any, ratio: float) -> tuple[Matte, Any]:
        picture = self.upload(frame, Padding.of(frame.height, frame.width, 1))
        alpha, foreground, state = self._runtime.key_on_device(picture, state, ratio)
        return self._make(frame, alpha[0], foreground[0]), state

    def show_alpha(self, matte: Matte, *, average: bool) -> tuple[Float32Array, ...]:
        height, width, glance = matte.frame.height, matte.frame.width, self._router.glance
        sampled = glance(matte.alpha, reduced_size(height, width, SUBJECT_SIDE), "bilinear")
        if not average:
            return (sampled,)
        return sampled, glance(matte.alpha, reduced_size(height, width, VIEW_SIDE), "area")

    def _make(self, frame: Frame, alpha: Any, foreground: Any) -> Matte:
        # The uploaded copy of the frame is not needed any more.
        return self._make_matte(alpha, foreground, replace(frame, sent=None))


def choose_destination(runtime: Any, on_device: bool | None, *, plain: bool) -> Destination:
    """Choose the destination of a keyer's mattes.

    Args:
        runtime: The keyer's, with a plate or without.
        on_device: Whether mattes stay on the device; None: yes where copies cost time.
        plain: Whether the keyer needs no step that runs in main memory.

    Raises:
        OptionError: ``on_device`` is True, and mattes cannot stay there.
    """
    router = stay_with(getattr(runtime, "router", None), on_device, plain=plain)
    return MainMemory(runtime) if router is None else DeviceMemory(runtime, router)

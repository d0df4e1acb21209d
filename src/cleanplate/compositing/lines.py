"""Steps around a keyer, in the memory where its mattes are: upload, finish, layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from cleanplate.compositing.finish import Finish
from cleanplate.compositing.layers import render_layer
from cleanplate.compositing.linear_layers import render_light
from cleanplate.compositing.specks import SpeckMemory, apply_specks, open_memory
from cleanplate.compositing.still_backdrops import Backdrop
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.router import DeviceRouter


class KeyerLine(Protocol):
    """Steps before and after a keyer, for mattes of one destination.

    Attributes:
        specks: Memory of the specks in the frames so far; None if specks are not removed.
    """

    specks: SpeckMemory | None

    def upload(self, frame: Frame) -> Frame:
        """Prepare a frame for the keyer, beside its work on the frame before."""
        ...

    def settle(self, matte: Matte) -> Matte:
        """Do the steps that need the mattes before; called once for each, in order."""
        ...

    def finish(self, matte: Matte) -> Matte:
        """Do the rest of the finish of a matte, which needs no other."""
        ...

    def render_layer(
        self,
        layer: str,
        backdrop: Backdrop | None,
        *,
        alpha: str = "straight",
        light: Sequence[str] | None = None,
    ) -> Callable[[Matte], Any]:
        """Function from a finished matte to the pixels of a layer, or to a function that waits for them.

        Args:
            layer: One of :data:`cleanplate.vocabulary.LAYERS`.
            backdrop: For the composite.
            alpha: The cut-out's, ``straight`` or ``premultiplied``.
            light: Channels behind the colour, for a sink of linear light; None: code values.

        Raises:
            OptionError: An unknown layer, one without a device version, or a composite without a backdrop.
        """
        ...


class HostLine:
    """Finish and layers in main memory; a frame needs no preparation.

    Args:
        finish: The finish of every matte.
        transfer: Transfer function of the source.
        linear: Whether composites of code values are mixed in linear light.
    """

    def __init__(self, finish: Finish, transfer: str, *, linear: bool = False) -> None:
        self.specks = open_memory(finish.despeckle)
        self._finish = replace(finish, despeckle=0.0)
        self._transfer, self._linear = transfer, linear

    def upload(self, frame: Frame) -> Frame:
        return frame

    def settle(self, matte: Matte) -> Matte:
        return matte if self.specks is None else apply_specks(matte, self.specks.find(matte.alpha))

    def finish(self, matte: Matte) -> Matte:
        return self._finish(matte)

    def render_layer(
        self,
        layer: str,
        backdrop: Backdrop | None,
        *,
        alpha: str = "straight",
        light: Sequence[str] | None = None,
    ) -> Callable[[Matte], Pixels]:
        if light is not None:
            return render_light(layer, backdrop, transfer=self._transfer, alpha=alpha, channels=light)
        mixed_in = self._transfer if self._linear else None
        return render_layer(layer, backdrop, alpha=alpha, transfer=mixed_in)


def open_line(
    router: DeviceRouter[Any] | None, finish: Finish, transfer: str, *, linear: bool = False
) -> KeyerLine:
    """Open the steps for the mattes of a keyer.

    Args:
        router: The keyer's ``device_router``; None: its mattes are in main memory.
        finish: The finish of every matte.
        transfer: Transfer function of the source.
        linear: Whether composites are mixed in linear light, which :func:`choose_place` allows in main memory
            only.
    """
    if router is None:
        return HostLine(finish, transfer, linear=linear)
    from cleanplate.compositing.device.device_path import (
        DeviceLine,  # needs PyTorch, which such a router has brought
    )

    return DeviceLine(router, finish)

"""Device path of a run: the steps before and after a keyer whose mattes stay on its device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from cleanplate.compositing.device.device_finish import apply_specks, finish_matte
from cleanplate.compositing.device.device_matte import DeviceMatte
from cleanplate.compositing.device.device_over import alpha_picture, cutout, over
from cleanplate.compositing.finish import Finish
from cleanplate.compositing.layers import NO_LIGHT
from cleanplate.compositing.specks import open_memory
from cleanplate.compositing.still_backdrops import Backdrop
from cleanplate.errors import OptionError
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.router import DeviceRouter
from cleanplate.router.device_transfers import Transfers
from cleanplate.router.torch_router import TorchRouter, to_pixels, to_planes


class DeviceLine:
    """A :class:`cleanplate.compositing.lines.KeyerLine` on a device.

    Upload before the keyer, finish and layers after it; only finished pixels are copied to main memory.

    Args:
        router: Router of the keyer's runtime.
        finish: The finish of every matte.
    """

    def __init__(self, router: DeviceRouter[Tensor], finish: Finish) -> None:
        self._router = cast(TorchRouter, router)
        self.specks = open_memory(finish.despeckle)
        self._finish = replace(finish, despeckle=0.0)
        self._plate = _Picture(self._router.transfers)

    def upload(self, frame: Frame) -> Frame:
        """Start the upload of the frame during the computation of the frame before it."""
        return replace(frame, sent=self._router.send(frame.pixels))

    def settle(self, matte: Matte) -> Matte:
        """Remove specks; they are found in main memory."""
        if self.specks is None:
            return matte
        transfers = self._router.transfers
        specks = self.specks.find(transfers.bring(cast(Tensor, matte.alpha)))
        return apply_specks(cast(DeviceMatte, matte), specks, transfers)

    def finish(self, matte: Matte) -> Matte:
        """Do the finish on the device."""
        despills = self._finish.despill > 0 and matte.plate is not None
        plate = self._plate.show(cast(Pixels, matte.plate)) if despills else None
        return finish_matte(cast(DeviceMatte, matte), self._finish, plate)

    def render_layer(
        self,
        layer: str,
        backdrop: Backdrop | None,
        *,
        alpha: str = "straight",
        light: Sequence[str] | None = None,
    ) -> Callable[[Matte], Callable[[], Pixels]]:
        """Function from a matte to a function that waits for a layer's pixels in main memory.

        Raises:
            OptionError: A layer without a device version, a composite without a backdrop, or linear light.
        """
        if light is not None:
            raise OptionError(NO_LIGHT, "leave on_device out")
        draw = self._choose(layer, backdrop, alpha)
        return lambda matte: self._router.transfers.fetch(draw(cast(DeviceMatte, matte)))

    def _choose(self, layer: str, backdrop: Backdrop | None, alpha: str) -> Callable[[DeviceMatte], Tensor]:
        if layer == "cutout":
            return lambda matte: cutout(matte, premultiplied=alpha == "premultiplied")
        if layer == "alpha":
            return alpha_picture
        if layer == "foreground":
            return lambda matte: to_pixels(matte.foreground)
        if layer != "composite" or backdrop is None:
            raise OptionError(f"The layer '{layer}' needs a background, or is not made on the device.")
        behind = _Picture(self._router.transfers)

        def compose(matte: DeviceMatte) -> Tensor:
            pixels = backdrop(matte.frame)
            # A backdrop may change the contents of a writeable array.
            return over(matte.foreground, matte.alpha, behind.show(pixels, same=not pixels.flags.writeable))

        return compose


class _Picture:
    """Pixels on the device that are reused for many frames."""

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers
        self._shown: Pixels | None = None
        self._picture = torch.empty(0)

    def show(self, pixels: Pixels, *, same: bool = True) -> Tensor:
        """The pixels as a picture; uploaded again only if the array or its contents change."""
        if pixels is not self._shown or not same:
            self._shown, self._picture = pixels, to_planes(self._transfers.send(pixels).take())
        return self._picture

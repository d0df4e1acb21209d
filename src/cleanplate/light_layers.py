"""How a matte becomes the layers of a file that holds light: floats, of which nothing is clipped or rounded.

The same layers as of :mod:`cleanplate.layers`, with colour as linear light, multiplied by alpha where that is
the format's convention, and data (alpha, error ...) as the numbers that they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from cleanplate.composite import Backdrop, LightBackdrop
from cleanplate.errors import OptionError
from cleanplate.frame import Frame, Light, Matte
from cleanplate.transfer import decode, shadow_of_light

Floats = npt.NDArray[np.float32]


def render_light(
    layer: str,
    backdrop: Backdrop | None,
    *,
    transfer: str,
    alpha: str = "premultiplied",
    channels: Sequence[str] = (),
) -> Callable[[Matte], Floats]:
    """What turns a finished matte into the floats of a layer.

    Args:
        layer: One of :data:`cleanplate.naming.LAYERS`.
        backdrop: For the composite.
        transfer: How code values mean light: the source's, and so the backdrop's.
        alpha: The cut-out's, ``premultiplied`` or ``straight``.
        channels: What follows behind the colour: ``matte``, ``error``, ``refine``.

    Returns:
        A function to float32 ``(height, width)`` for data, otherwise ``(height, width, 3 + n)`` or, for the
        cut-out, ``(height, width, 4 + n)`` with n further channels.

    Raises:
        OptionError: A composite without a backdrop.
    """
    if layer not in ("cutout", "foreground", "composite"):
        return lambda matte: show_data(layer, matte, transfer)
    if layer == "composite" and backdrop is None:
        raise OptionError("A composite needs a background.", "add --background '#00b140', blur or a file")
    own = 4 if layer == "cutout" else 3

    def render(matte: Matte) -> Floats:
        picture = np.empty((*matte.alpha.shape, own + len(channels)), np.float32)
        light = decode(matte.foreground, transfer) if matte.light is None else matte.light
        if layer == "cutout":
            picture[..., 3] = matte.alpha
        if layer == "cutout" and alpha == "premultiplied":
            np.multiply(light, matte.alpha[..., None], out=picture[..., :3])
        elif backdrop is not None and layer == "composite":
            picture[..., :3] = lay_over_light(
                light, matte, light_behind(backdrop, matte.frame, transfer), transfer
            )
        else:
            picture[..., :3] = light
        for number, channel in enumerate(channels):
            picture[..., own + number] = show_data(channel, matte, transfer)
        return picture

    return render


def light_behind(backdrop: Backdrop, frame: Frame, transfer: str) -> Light:
    """A backdrop's light: its own, or what its code values mean."""
    own = backdrop.light_for(frame) if isinstance(backdrop, LightBackdrop) else None
    return decode(backdrop(frame), transfer) if own is None else own


def lay_over_light(light: Light, matte: Matte, backdrop: Light, transfer: str) -> Light:
    """The foreground's light over a backdrop's, which the matte's shadow darkens, if it has one."""
    rest = 1 - matte.alpha
    if matte.shadow is not None:
        rest *= 1 - shadow_of_light(matte.shadow, transfer)
    return np.asarray(light * matte.alpha[..., None] + backdrop * rest[..., None])


def show_data(layer: str, matte: Matte, transfer: str) -> Floats:
    """Alpha (``matte`` as a channel), shadow, error or refine as float32 ``(height, width)``.

    Raises:
        OptionError: The matte comes without it.
    """
    if layer == "shadow":
        if matte.shadow is None:
            return np.ones_like(matte.alpha)
        return 1 - shadow_of_light(matte.shadow, transfer)
    if layer in ("alpha", "matte"):
        return matte.alpha
    data = matte.error if layer == "error" else matte.refined
    if data is None:
        raise OptionError(f"The matte comes without {layer}.", "ask the keyer for it: maps=True")
    return np.asarray(data, np.float32)

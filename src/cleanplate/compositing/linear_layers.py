"""Conversion of a matte to the layers of a file of linear light: floats, neither clipped nor rounded.

The same layers as in :mod:`cleanplate.compositing.layers`, with colour as linear light, premultiplied if that
is the format's convention, and data (alpha, error ...) as plain numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cleanplate.compositing.over import coarse_hint
from cleanplate.compositing.still_backdrops import Backdrop, LightBackdrop
from cleanplate.errors import OptionError
from cleanplate.frame import Float32Array, Frame, HalfArray, Light, Matte
from cleanplate.media.colour.transfer import decode, shadow_of_light

LARGEST_HALF = np.float32(65504)
"""Largest value of a half float; larger values are clipped to it."""

# Rows at a time, to avoid a further whole picture of 32 bits.
_BAND = 64


def render_light(
    layer: str,
    backdrop: Backdrop | None,
    *,
    transfer: str,
    alpha: str = "premultiplied",
    channels: Sequence[str] = (),
) -> Callable[[Matte], HalfArray]:
    """Function from a finished matte to the half floats of a layer.

    Args:
        layer: One of :data:`cleanplate.vocabulary.LAYERS`.
        backdrop: For the composite.
        transfer: Transfer function of the source's code values, and so of the backdrop's.
        alpha: The cut-out's, ``premultiplied`` or ``straight``.
        channels: Extra channels after the colour: ``matte``, ``error``, ``refine``.

    Returns:
        A function to float16 ``(height, width)`` for data, otherwise ``(height, width, 3 + n)`` or, for the
        cut-out, ``(height, width, 4 + n)`` with n further channels.

    Raises:
        OptionError: A composite without a backdrop.
    """
    if layer not in ("cutout", "foreground", "composite"):
        return lambda matte: show_data(layer, matte, transfer).astype(np.float16)
    if layer == "composite" and backdrop is None:
        raise OptionError("A composite needs a background.", "add --background='#00b140', blur or a file")
    own = 4 if layer == "cutout" else 3

    def render(matte: Matte) -> HalfArray:
        picture = np.empty((*matte.alpha.shape, own + len(channels)), np.float16)
        behind = None
        if backdrop is not None and layer == "composite":
            behind = darken(light_behind(backdrop, matte.frame, transfer), matte, transfer)
        for rows in (slice(top, top + _BAND) for top in range(0, len(picture), _BAND)):
            light = decode(matte.foreground[rows], transfer) if matte.light is None else matte.light[rows]
            if behind is not None:
                light = light * matte.alpha[rows, :, None] + behind[rows]
            elif layer == "cutout" and alpha == "premultiplied":
                light = light * matte.alpha[rows, :, None]
            picture[rows, :, :3] = np.clip(light, -LARGEST_HALF, LARGEST_HALF)
        if layer == "cutout":
            picture[..., 3] = matte.alpha
        for number, channel in enumerate(channels):
            picture[..., own + number] = show_data(channel, matte, transfer)
        return picture

    return render


def light_behind(backdrop: Backdrop, frame: Frame, transfer: str) -> Light:
    """A backdrop's light: its own, or decoded from its code values."""
    own = backdrop.light_for(frame) if isinstance(backdrop, LightBackdrop) else None
    return decode(backdrop(frame), transfer) if own is None else own


def darken(backdrop: Light, matte: Matte, transfer: str) -> Light:
    """Light of the backdrop that remains behind the matte and its shadow."""
    rest = 1 - matte.alpha
    if matte.shadow is not None:
        rest *= 1 - shadow_of_light(matte.shadow, transfer)
    return np.asarray(backdrop * rest[..., None])


def show_data(layer: str, matte: Matte, transfer: str) -> Float32Array:
    """Alpha (``matte`` as a channel), shadow, hint, error or refine as float32 ``(height, width)``.

    Raises:
        OptionError: The matte has no such layer.
    """
    if layer == "shadow":
        if matte.shadow is None:
            return np.ones_like(matte.alpha)
        return 1 - shadow_of_light(matte.shadow, transfer)
    if layer in ("alpha", "matte"):
        return matte.alpha
    if layer == "hint":
        return coarse_hint(matte.alpha)
    data = matte.error if layer == "error" else matte.refined
    if data is None:
        raise OptionError(f"The matte has no {layer}.", "ask the keyer for it: maps=True")
    return np.asarray(data, np.float32)

"""Backdrops behind log and ACES sources, in the source's own space."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from cleanplate.compositing.backdrops import open_backdrop
from cleanplate.compositing.own_space import SourceColours
from cleanplate.compositing.still_backdrops import Backdrop, LightBackdrop
from cleanplate.frame import Frame, Light, Pixels
from cleanplate.media.colour.camera_spaces import SRGB_WORD, find_space
from cleanplate.media.colour.display_view import open_view

if TYPE_CHECKING:
    from PIL import Image

LINEAR_BT709 = "lin_rec709"
"""Space of the light of a backdrop of floats, unless the user names another."""


def open_own_backdrop(
    spec: str | os.PathLike[str] | Pixels | Image.Image | Backdrop,
    plate_pixels: Pixels | None,
    colours: SourceColours,
    *,
    transfer: str | None,
    space: str | None = None,
    profile: bytes | None = None,
) -> Backdrop:
    """Make a backdrop from the user's value, in the source's own space.

    The blurred plate, and a backdrop of the caller's own, are in that space already.

    Args:
        spec: As of :func:`cleanplate.compositing.backdrops.open_backdrop`.
        plate_pixels: The plate in the source's space, for ``blur``.
        colours: The source's.
        transfer: For mixing in linear light; None: in code values.
        space: Space of the backdrop; None: sRGB, and for floats light of the primaries of BT.709.
        profile: ICC profile of the source.

    Raises:
        InputError, OptionError: As of ``open_backdrop``; or the space is unknown.
    """
    if colours.view is None or callable(spec) or (isinstance(spec, str) and spec == "blur"):
        return open_backdrop(spec, plate_pixels, transfer, profile)
    named = SRGB_WORD if space in (None, SRGB_WORD, "auto") else find_space(str(space))
    return ConvertedBackdrop(open_backdrop(spec, None, None), colours, named)


class ConvertedBackdrop:
    """A backdrop, converted to a source's own space; a picture that stays the same is converted once.

    sRGB becomes the values that render to it, so that the backdrop looks the same in the result's rendering;
    light and other spaces are converted as scenes.

    Args:
        inner: The backdrop.
        colours: The source's.
        space: Space of the backdrop, or ``srgb``.
    """

    def __init__(self, inner: Backdrop, colours: SourceColours, space: str) -> None:
        if colours.view is None:
            raise ValueError("the source has no space of its own")
        self.inner = inner
        self._view, self._colours, self._space = colours.view, colours, space
        is_light = space != SRGB_WORD and open_view(space).is_linear
        self._light_space = space if is_light else LINEAR_BT709
        self._codes: tuple[Pixels, Pixels] | None = None

    def __call__(self, frame: Frame) -> Pixels:
        pixels = self.inner(frame)
        if not self._colours.is_coded:
            return pixels
        if self._codes is None or self._codes[0] is not pixels or self._codes[1].dtype != frame.pixels.dtype:
            light = self.inner.light_for(frame) if isinstance(self.inner, LightBackdrop) else None
            values = self._view.convert_from(*self._choose(pixels, light))
            top = np.iinfo(frame.pixels.dtype).max
            self._codes = pixels, np.rint(np.clip(values, 0, 1) * top).astype(frame.pixels.dtype)
        return self._codes[1]

    def light_for(self, frame: Frame) -> Light | None:
        """Linear light of the source's primaries."""
        light = self.inner.light_for(frame) if isinstance(self.inner, LightBackdrop) else None
        if light is None and self._colours.is_coded:
            return None
        return self._view.to_light(self._view.convert_from(*self._choose(self.inner(frame), light)))

    def _choose(self, pixels: Pixels, light: Light | None) -> tuple[Pixels | Light, str]:
        return (pixels, self._space) if light is None else (light, self._light_space)

    def close(self) -> None:
        """Close the backdrop."""
        self.inner.close()

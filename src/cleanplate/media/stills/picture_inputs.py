"""Conversion of the caller's pictures (paths, arrays and Pillow's images) to pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from PIL import Image, ImageOps

from cleanplate.errors import InputError
from cleanplate.frame import Pixels
from cleanplate.media.stills.decoded_picture import Picture
from cleanplate.media.stills.image_reader import read_image


def is_image(given: object) -> TypeGuard[Image.Image]:
    """Tell whether this is an image of Pillow's."""
    return isinstance(given, Image.Image)


def take_picture(given: str | os.PathLike[str] | Pixels | Image.Image) -> Picture:
    """The picture of a path, of pixels, or of an image of Pillow's.

    Args:
        given: A picture file; RGB pixels ``(height, width, 3)`` of uint8 or uint16; or an image of Pillow's,
            whose EXIF orientation is applied and whose RGB profile is kept.

    Raises:
        InputError: The file cannot be read; or the image has samples of neither 8 nor 16 bits.
    """
    if isinstance(given, Image.Image):
        return _from_pillow(given)
    if isinstance(given, (str, os.PathLike)):
        return read_image(Path(given))
    return Picture(given, None, None)


def take_pixels(given: Any) -> Any:
    """The pixels of a path or of an image of Pillow's; anything else unchanged."""
    return take_picture(given).pixels if isinstance(given, (str, os.PathLike, Image.Image)) else given


def _from_pillow(image: Image.Image) -> Picture:
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            grey = np.asarray(upright).astype(np.uint16)
            return Picture(np.repeat(grey[..., None], 3, axis=2), None, None)
        if upright.mode in ("I", "F"):
            raise InputError(
                f"The image has samples that are neither 8 nor 16 bits (Pillow's mode {upright.mode}).",
                "convert it with 8 bits, or give an array of uint16",
            )
        profile = upright.info.get("icc_profile")
        profile = profile if profile and profile[16:20] == b"RGB " else None
        if upright.has_transparency_data:
            rgba = np.array(upright.convert("RGBA"))
            return Picture(np.ascontiguousarray(rgba[..., :3]), rgba[..., 3].copy(), profile)
        return Picture(np.array(upright.convert("RGB")), None, profile)
    except (OSError, SyntaxError, ValueError) as error:  # it is read from its file only now
        raise InputError(f"The image cannot be read: {str(error).rstrip('.')}.") from error

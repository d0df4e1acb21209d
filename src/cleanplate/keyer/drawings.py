"""Pictures that a user has drawn over a frame: regions and hints."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cleanplate.errors import InputError
from cleanplate.frame import Float32Array, Frame
from cleanplate.plate.picture import LARGEST_STRETCH


def check_shape(height: int, width: int, frame: Frame, name: str, kind: str) -> None:
    """Compare the aspect ratio of a picture with a frame's, as it is stored or as it is shown.

    Args:
        height: Rows of the picture.
        width: Its columns.
        frame: The frame.
        name: Name of the picture in messages.
        kind: ``region`` or ``hint``.

    Raises:
        InputError: Another aspect ratio.
    """
    aspect = width * frame.height / (height * frame.width)
    if min(abs(aspect - 1), abs(aspect / frame.stretch - 1)) > LARGEST_STRETCH:
        raise InputError(
            f"{name[0].upper()}{name[1:]} is {width}x{height}, the frame {frame.width}x{frame.height}: "
            "another aspect ratio.",
            f"draw the {kind} over a frame of the source",
        )


def to_share(picture: npt.NDArray[Any], kind: str) -> Float32Array:
    """Numbers of any type as float32 in [0, 1].

    Args:
        picture: bool, uint8, uint16 or float of any shape; floats are clipped, and NaN is 0.
        kind: ``region`` or ``hint``.

    Raises:
        InputError: Another type.
    """
    if picture.dtype == np.bool_:
        return picture.astype(np.float32)
    if picture.dtype in (np.uint8, np.uint16):
        return np.asarray(picture / np.float32(np.iinfo(picture.dtype).max), np.float32)
    if np.issubdtype(picture.dtype, np.floating):
        return np.asarray(np.clip(np.nan_to_num(picture.astype(np.float32)), 0, 1), np.float32)
    raise InputError(f"Expected a {kind} of uint8, uint16 or float, got {picture.dtype}.")

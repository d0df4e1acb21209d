"""Conversion between 8 and 16 bits, from the full range of one type to the full range of the other."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cleanplate.errors import OptionError
from cleanplate.frame import AnyArray


def scale(values: AnyArray, factor: float, out: AnyArray | None = None) -> AnyArray:
    """uint8 or uint16 times ``factor``, rounded to nearest, clipped to the type of ``out`` or their own."""
    multiply: Any = cv2.multiply  # its stubs know no scalars
    target = values.dtype if out is None else out.dtype
    kind = cv2.CV_8U if target == np.uint8 else cv2.CV_16U
    flat = values.reshape(values.shape[0], -1)
    if out is None:
        scaled: AnyArray = multiply(flat, factor, dtype=kind)
        return scaled.reshape(values.shape)
    if values.dtype == np.uint8:  # a table takes less than half of the time of a product
        table = multiply(np.arange(256, dtype=np.uint8), factor, dtype=kind)
        cv2.LUT(flat, table, dst=out.reshape(values.shape[0], -1))
    else:
        multiply(flat, factor, dst=out.reshape(values.shape[0], -1), dtype=kind)
    return out


def check_layer(pixels: AnyArray, channels: tuple[int, ...]) -> None:
    """Raise :class:`OptionError` unless uint8 or uint16 of one of ``channels``; 1 stands for (H, W)."""
    found = 1 if pixels.ndim == 2 else pixels.shape[2] if pixels.ndim == 3 else 0
    if found not in channels or pixels.dtype not in (np.uint8, np.uint16):
        shapes = " or ".join("(height, width)" if n == 1 else f"(height, width, {n})" for n in channels)
        raise OptionError(
            f"Expected uint8 or uint16 pixels of shape {shapes}, got {pixels.dtype} {pixels.shape}."
        )

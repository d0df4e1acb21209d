"""Conversion of RGB to YUV 4:4:4: one matrix, in bands that stay in the cache.

Without chroma subsampling no filter is needed; OpenCV's product of a matrix and all
pixels takes half of swscale's time and rounds to the nearest code value.
"""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.frame import AnyArray, Pixels
from cleanplate.media.colour.h273 import LUMA_WEIGHTS

_BAND = 32
"""Rows at a time."""


class FullChroma:
    """Converts to YUV 4:4:4 (ITU-T H.273, section 8.3).

    Args:
        matrix: One of :data:`~cleanplate.media.colour.h273.LUMA_WEIGHTS`.
        bits: Bits of a sample of YUV, 8 to 16.
        full_range: Whether YUV uses all code values.
    """

    def __init__(self, matrix: str, bits: int, full_range: bool) -> None:
        unit = 1 << (bits - 8)
        luma, chroma = ((1 << bits) - 1,) * 2 if full_range else (219 * unit, 224 * unit)
        red, blue = LUMA_WEIGHTS[matrix]
        weights = np.array([red, 1 - red - blue, blue])
        rows = [
            weights * luma,
            (np.array([0, 0, 1]) - weights) * chroma / (2 * (1 - blue)),
            (np.array([1, 0, 0]) - weights) * chroma / (2 * (1 - red)),
        ]
        self.black = (0 if full_range else 16 * unit, 128 * unit, 128 * unit)
        """The code values of black."""
        self._rows = np.array(rows)
        self._highest = (1 << bits) - 1
        self._clips = full_range and bits < 16  # pure blue would be half a code value too high
        self._plane_type = np.uint8 if bits == 8 else np.uint16

    def convert(self, rgb: Pixels, into: list[AnyArray]) -> None:
        """Write uint8 or uint16 ``(height, width, 3)`` into the planes Y, U, V, ``(height, width)`` each."""
        white = np.iinfo(rgb.dtype).max
        matrix = np.column_stack([self._rows / white, self.black]).astype(np.float32)
        for top in range(0, len(rgb), _BAND):
            band = slice(top, top + _BAND)
            # As 16 bits, because the result has the input's type.
            yuv = cv2.transform(rgb[band].astype(np.uint16), matrix)
            if self._clips:
                cv2.threshold(yuv, self._highest, 0, cv2.THRESH_TRUNC, dst=yuv)
            cv2.split(yuv.astype(self._plane_type), [plane[band] for plane in into])

"""Small DNG files whose mosaic holds linear sRGB, divided by the white balance."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

WHITE = 16000
"""Sample of white: the white level of the made camera."""

# XYZ (D65) to linear sRGB, IEC 61966-2-1: the made camera sees sRGB's primaries.
_TO_CAMERA = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)


def make_dng(
    light: np.ndarray[Any, Any], neutral: tuple[float, float, float] = (1, 1, 1), orientation: int = 1
) -> bytes:
    """Make a DNG.

    Args:
        light: Linear sRGB in [0, 1], ``(height, width, 3)``, sides even.
        neutral: Camera's response to white: its inverse is the white balance of the shot.
        orientation: As in EXIF.
    """
    height, width = light.shape[:2]
    seen = np.clip(light * np.asarray(neutral), 0, 1)
    mosaic = np.empty((height, width))
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = seen[row::2, column::2, channel]
    samples = np.rint(mosaic * WHITE).astype("<u2").tobytes()

    def ratios(kind: str, *numbers: float) -> bytes:
        return b"".join(struct.pack(f"<2{kind}", round(number * 10000), 10000) for number in numbers)

    entries: list[tuple[int, int, int, bytes]] = [
        (254, 4, 1, struct.pack("<I", 0)),
        (256, 4, 1, struct.pack("<I", width)),
        (257, 4, 1, struct.pack("<I", height)),
        (258, 3, 1, struct.pack("<H", 16)),
        (259, 3, 1, struct.pack("<H", 1)),
        (262, 3, 1, struct.pack("<H", 32803)),
        (271, 2, 8, b"Make it\0"),
        (272, 2, 6, b"Model\0"),
        (273, 4, 1, b"strip"),
        (274, 3, 1, struct.pack("<H", orientation)),
        (277, 3, 1, struct.pack("<H", 1)),
        (278, 4, 1, struct.pack("<I", height)),
        (279, 4, 1, struct.pack("<I", len(samples))),
        (33421, 3, 2, struct.pack("<2H", 2, 2)),
        (33422, 1, 4, bytes((0, 1, 1, 2))),
        (50706, 1, 4, bytes((1, 4, 0, 0))),
        (50708, 2, 6, b"Model\0"),
        (50714, 4, 1, struct.pack("<I", 0)),
        (50717, 4, 1, struct.pack("<I", WHITE)),
        (50721, 10, 9, ratios("i", *_TO_CAMERA)),
        (50728, 5, 3, ratios("I", *neutral)),
        (50778, 3, 1, struct.pack("<H", 21)),
    ]
    size = 2 + 12 * len(entries) + 4
    extra, table = b"", struct.pack("<H", len(entries))
    long = {tag: value for tag, _, _, value in entries if len(value) > 4 and tag != 273}
    start = 8 + size + sum(len(value) + len(value) % 2 for value in long.values())
    for tag, kind, count, value in entries:
        field = struct.pack("<I", start) if tag == 273 else value.ljust(4, b"\0")
        if tag in long:
            field = struct.pack("<I", 8 + size + len(extra))
            extra += value + bytes(len(value) % 2)
        table += struct.pack("<HHI", tag, kind, count) + field
    return b"II*\0\x08\0\0\0" + table + bytes(4) + extra + samples

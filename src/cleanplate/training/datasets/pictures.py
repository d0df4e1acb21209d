"""Reads pictures and cut-outs as uint8, and reduces those that are too large for training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cleanplate.errors import InputError
from cleanplate.frame import AnyArray, ByteArray, to_depth
from cleanplate.media import Picture, read_image

MAXIMUM_SIDE = 2048
"""Longest side of a picture after reading: HD stays as it is, UHD is reduced to HD."""


def read_picture(path: Path) -> ByteArray:
    """Read RGB ``(height, width, 3)``; an alpha channel is ignored.

    Raises:
        InputError: The picture cannot be read.
    """
    return reduce(_as_bytes(read_image(path).pixels))


def read_cutout(colour: Path, alpha: Path | None) -> ByteArray:
    """Read straight RGBA ``(height, width, 4)`` from one file with an alpha channel, or from a pair.

    Raises:
        InputError: A file cannot be read, has no alpha, or the two differ in size.
    """
    return join_cutout(
        read_image(colour), None if alpha is None else read_image(alpha), str(colour), str(alpha)
    )


def join_cutout(colour: Picture, alpha: Picture | None, colour_name: str, alpha_name: str) -> ByteArray:
    """Join colour and alpha; the names are for errors. Grey may be stored as RGB.

    Raises:
        InputError: There is no alpha, or the two differ in size.
    """
    if alpha is None:
        if colour.alpha is None:
            raise InputError(f"{colour_name} has no alpha channel.", "cut-outs are RGBA pictures")
        cover = colour.alpha
    else:
        cover = alpha.pixels[..., 1]
        if cover.shape != colour.pixels.shape[:2]:
            raise InputError(
                f"{alpha_name} is {_size(cover)}, but its colour {colour_name} is {_size(colour.pixels)}."
            )
    return reduce(np.dstack([_as_bytes(colour.pixels), _as_bytes(cover)]))


def reduce(picture: ByteArray) -> ByteArray:
    """Shrink ``(height, width, 3 | 4)`` until neither side is longer than :data:`MAXIMUM_SIDE`."""
    height, width = picture.shape[:2]
    scale = MAXIMUM_SIDE / max(height, width)
    if scale >= 1:
        return picture
    return shrink(picture, max(1, round(height * scale)), max(1, round(width * scale)))


def shrink(picture: ByteArray, height: int, width: int) -> ByteArray:
    """Average areas; colour is weighted by alpha, so that hidden colour does not bleed into the edge."""
    if picture.shape[2] == 3:
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    # Plane by plane, in OpenCV: three times as fast as NumPy on interleaved floats.
    size = (width, height)
    alpha = cv2.extractChannel(picture, 3)
    weight = np.add(alpha, np.float32(0.5), dtype=np.float32)
    small_alpha = cv2.resize(alpha.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    planes = []
    for channel in range(3):
        weighted = cv2.multiply(cv2.extractChannel(picture, channel), weight, dtype=cv2.CV_32F)
        planes.append(
            cv2.resize(weighted, size, interpolation=cv2.INTER_AREA) / (small_alpha + np.float32(0.5))
        )
    merged = cv2.merge([np.rint(plane).clip(0, 255).astype(np.uint8) for plane in (*planes, small_alpha)])
    return np.asarray(merged, np.uint8)


def _as_bytes(pixels: AnyArray) -> ByteArray:
    return np.asarray(to_depth(pixels, np.uint8), np.uint8)


def _size(pixels: AnyArray) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"

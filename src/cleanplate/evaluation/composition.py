"""Composites as in the papers: resizing, motion and *over* in NumPy and OpenCV."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from cleanplate.frame import AnyArray, Float32Array, Pixels, to_depth
from cleanplate.media import read_image
from cleanplate.training.synthesis.motion_paths import Pose

Size = tuple[int, int]


def resize(colour: Pixels, alpha: Float32Array, size: Size | None) -> tuple[Pixels, Float32Array]:
    """Resize colour and alpha to ``size`` without keeping the aspect ratio; colour becomes 8 bits."""
    colour = to_depth(colour, np.uint8)
    if size is None or size == alpha.shape:
        return colour, alpha
    how = cv2.INTER_AREA if size[0] < alpha.shape[0] else cv2.INTER_LINEAR
    resized = [cv2.resize(x, size[::-1], interpolation=how) for x in (colour, alpha)]
    return np.asarray(resized[0], np.uint8), np.asarray(resized[1], np.float32)


def cover(picture: Pixels, size: tuple[int, ...]) -> Pixels:
    """Resize to cover ``size``, and crop the middle."""
    height, width = size
    zoom = max(height / picture.shape[0], width / picture.shape[1])
    whole = [max(side, round(zoom * of)) for side, of in zip((height, width), picture.shape, strict=False)]
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(picture, whole[::-1], interpolation=how)
    top, left = (whole[0] - height) // 2, (whole[1] - width) // 2
    return np.ascontiguousarray(resized[top : top + height, left : left + width])


def over(colour: Pixels, alpha: Float32Array, background: Pixels) -> Pixels:
    """Composite straight colour over a background, in gamma-encoded values."""
    cover = alpha[..., None]
    return to_bytes((cover * colour + (1 - cover) * background) / np.float32(255))


def move(picture: AnyArray, pose: Pose, *, border: int) -> AnyArray:
    """Move the picture about its middle; ``border`` fills the area beyond its edges."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(pose.angle), pose.zoom)
    matrix[:, 2] += (pose.across * height, pose.down * height)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=border))


def to_bytes(picture: AnyArray) -> Pixels:
    """Convert [0, 1] to 8 bits."""
    return np.asarray(np.clip(np.rint(picture * 255), 0, 255), np.uint8)


def read_bytes(path: Path) -> Pixels:
    """Read a picture file in 8 bits."""
    return to_depth(read_image(path).pixels, np.uint8)

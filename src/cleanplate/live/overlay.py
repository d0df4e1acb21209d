"""Text over a picture, drawn once and reused until it changes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cleanplate.frame import Float32Array, Pixels

TEXT, SHADE = (240, 240, 236), (14, 16, 18)
SHADE_ALPHA = 0.62
PLACES = ("top left", "left", "middle", "bottom")

SMALLEST_TEXT = 11
"""Smallest height of the letters in pixels."""

LONGEST_LINE = 84
"""Longest line of a message in letters; longer ones are wrapped."""

_KEPT = 32
"""Number of cached blocks of text; figures change every second."""


def write(pixels: Pixels, lines: Sequence[str], place: str, size: float = 1 / 40) -> None:
    """Draw lines of text on a shaded box over a picture, in place.

    Args:
        pixels: uint8 RGB ``(height, width, 3)``, writeable.
        lines: Lines of text; wide ones are cut off. Without any, nothing is drawn.
        place: One of :data:`PLACES`.
        size: Height of the letters as a share of the picture's height.
    """
    if not lines:
        return
    height, width = pixels.shape[:2]
    at_left = place.endswith("left")
    colour, alpha = _draw(tuple(lines), max(SMALLEST_TEXT, round(size * height)), not at_left)
    rows, columns = min(alpha.shape[0], height), min(alpha.shape[1], width)
    margin = round(0.02 * height)
    top = {"top left": margin, "bottom": height - rows - margin}.get(place, (height - rows) // 2)
    left = margin if at_left else (width - columns) // 2
    top, left = max(0, min(top, height - rows)), max(0, min(left, width - columns))
    part = pixels[top : top + rows, left : left + columns]
    colour, alpha = (
        np.ascontiguousarray(colour[:rows, :columns]),
        np.ascontiguousarray(alpha[:rows, :columns]),
    )
    part[:] = cv2.blendLinear(colour, np.ascontiguousarray(part), alpha, 1 - alpha)


@lru_cache(maxsize=_KEPT)
def _draw(lines: tuple[str, ...], letters: int, centred: bool) -> tuple[Pixels, Float32Array]:
    """Draw a box with text; returns its colour and its alpha."""
    font = ImageFont.load_default(letters)
    text = "\n".join(lines)
    align = "center" if centred else "left"
    spacing, border = letters // 3, round(0.6 * letters)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
        (0, 0), text, font=font, spacing=spacing, align=align
    )
    size = (round(right - left) + 2 * border, round(bottom - top) + 2 * border)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).multiline_text(
        (border - left, border - top), text, fill=255, font=font, spacing=spacing, align=align
    )
    ink = np.asarray(mask, np.float32)[..., None] / 255
    colour = np.rint(ink * TEXT + (1 - ink) * SHADE).astype(np.uint8)
    alpha = np.maximum(ink[..., 0], SHADE_ALPHA).astype(np.float32)
    return colour, alpha


def wrap(text: str) -> list[str]:
    """Wrap a message into lines that fit into a picture."""
    return textwrap.wrap(text, LONGEST_LINE)

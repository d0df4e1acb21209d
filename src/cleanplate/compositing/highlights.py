"""Linear light of a foreground: highlights above white, negative values and all digits of a source of floats.

The keyer and the finish see code values, 16 bits of sRGB. Their result is converted to light, plus the part
of the source's light that code values cannot hold, faded out as the colour departs from the source's.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cleanplate.frame import Float32Array, Frame, Light, Pixels
from cleanplate.media.colour.display_view import DisplayView, open_view
from cleanplate.media.colour.transfer import SRGB, decode

# Rows at a time: intermediate arrays stay small.
_BAND = 64

OPAQUE = (0.95, 0.999)
"""From the second alpha on, the foreground is the source's light, to the bit; at the first, the network's
colour (docs/log.md, 2026-11-27)."""

REACH = 0.1
"""Change of a code value, in [0, 1], at which the source's excess is faded out completely."""


def light_of_foreground(foreground: Pixels, alpha: Float32Array, frame: Frame) -> Light | None:
    """Convert a foreground from code values to light; None if the frame has no light.

    Args:
        foreground: Straight colour, like ``frame.pixels``.
        alpha: The network's, float32 in [0, 1], ``(height, width)``.
        frame: The keyed frame.

    Returns:
        float32 ``(height, width, 3)``, at least 0, or at least the source's where that is negative.
    """
    if frame.light is None:
        return None
    to_light = _decode_srgb if frame.space is None else _light_of(open_view(frame.space))
    light = np.empty(foreground.shape, np.float32)
    for rows in (slice(top, top + _BAND) for top in range(0, len(light), _BAND)):
        parts = (foreground[rows], alpha[rows], frame.pixels[rows], frame.light[rows].astype(np.float32))
        light[rows] = _light_of_rows(*parts, to_light)
    return light


def _light_of(view: DisplayView) -> Callable[[Pixels], Light]:
    return lambda shown: view.to_light(view.recover(shown))


def _decode_srgb(codes: Pixels) -> Light:
    return decode(codes, SRGB)


def _light_of_rows(
    foreground: Pixels, alpha: Float32Array, pixels: Pixels, own: Light, to_light: Callable[[Pixels], Light]
) -> Light:
    same = cv2.inRange(cv2.absdiff(foreground, pixels), (0, 0, 0), (0, 0, 0))
    untouched = (alpha >= OPAQUE[1]).view(np.uint8) | np.asarray(same, np.uint8)
    light = cv2.copyTo(own, untouched, to_light(foreground))
    # Invisible pixels are skipped.
    mixed = np.flatnonzero((untouched == 0) & (alpha > 0))
    codes, before, seen = (picture.reshape(-1, 3)[mixed] for picture in (foreground, pixels, own))
    light.reshape(-1, 3)[mixed] = mix_own(codes, before, seen, alpha.reshape(-1)[mixed], to_light)
    return np.asarray(light)


def mix_own(
    codes: Pixels, before: Pixels, own: Light, alpha: Float32Array, to_own: Callable[[Pixels], Light]
) -> Light:
    """Convert the colours of pixels that the network has changed.

    Args:
        codes: Foreground of these pixels in the code values that the network works on, ``(N, 3)``.
        before: The source's code values at these pixels, ``(N, 3)``.
        own: The source's own values (light) at these pixels, ``(N, 3)``.
        alpha: Alpha of these pixels, ``(N,)``.
        to_own: Converts code values to own values.

    Returns:
        Own values of the foreground, with the source's excess over its code values where the colour is near
        to it.
    """
    top = np.float32(np.iinfo(codes.dtype).max)
    change = np.abs(codes.astype(np.float32) - before).max(axis=1, keepdims=True) / top
    kept = np.clip(1 - change / np.float32(REACH), 0, 1)
    light = np.maximum(to_own(codes) + kept * (own - to_own(before)), np.minimum(own, 0))
    solid = np.clip((alpha - OPAQUE[0]) / np.float32(OPAQUE[1] - OPAQUE[0]), 0, 1)[:, None]
    return np.asarray(light + solid * (own - light))

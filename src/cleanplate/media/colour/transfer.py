"""Conversion between code values and light: transfer functions of ITU-T H.273, by FFmpeg's names.

Light is linear, and scene-referred if the standard is: 1.0 is white, which is a
code value of 1 for all but two. PQ (SMPTE ST 2084) and HLG (ARIB STD-B67) go beyond: there, 1.0 is the
reference white of ITU-R BT.2408, which PQ has at 203 of its 10,000 nits and HLG at 75 % of its signal, so
that a white shirt has the same light from every source.

Whole pictures go through a table of all their code values; only floats are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cleanplate.errors import OptionError
from cleanplate.frame import Float32Array, FloatArray, Light, Pixels

SRGB = "iec61966-2-1"
"""Transfer function of untagged pictures."""

WHITE_NITS = 203.0
"""Reference white on a display, in nits (ITU-R BT.2408-7, table 1)."""

PQ_WHITE = WHITE_NITS / 10_000
"""The same as a share of PQ's peak."""

HLG_WHITE_SIGNAL = 0.75
"""The HLG signal of reference white (ITU-R BT.2408-7, table 1)."""


@dataclass(frozen=True)
class Curve:
    """One transfer function: ``decode`` converts code values in [0, 1] to light, ``encode`` is its inverse.

    Both take and return floats of any shape and type.

    Attributes:
        least: Least light that ``encode`` takes; curves of cameras go below 0.
        of_scene: True for log and ACES spaces: the keyer sees a display rendering in place of these code
            values, and a shadow is measured as a share of light already.
    """

    decode: Callable[[FloatArray], FloatArray]
    encode: Callable[[FloatArray], FloatArray]
    least: float = 0.0
    of_scene: bool = False


def _power(exponent: float, white: float = 1.0) -> Curve:
    return Curve(lambda v: v**exponent / white, lambda x: (x * white) ** (1 / exponent))


def _camera(alpha: float, beta: float, slope: float, exponent: float) -> Curve:
    """Straight at black, and from ``beta`` on ``alpha * light ** exponent - (alpha - 1)``."""
    knee = slope * beta

    def decode(values: FloatArray) -> FloatArray:
        bent = np.maximum((values + (alpha - 1)) / alpha, 0) ** (1 / exponent)
        return np.asarray(np.where(values < knee, values / slope, bent))

    def encode(light: FloatArray) -> FloatArray:
        bent = alpha * np.maximum(light, beta) ** exponent - (alpha - 1)
        return np.asarray(np.where(light < beta, light * slope, bent))

    return Curve(decode, encode)


def _logarithm(decades: float) -> Curve:
    """H.273, 9 and 10: everything below the range is black."""

    def encode(light: FloatArray) -> FloatArray:
        return np.asarray(np.maximum(1 + np.log10(np.maximum(light, 10.0**-decades)) / decades, 0))

    return Curve(lambda v: np.where(v > 0, 10 ** (decades * (v - 1)), 0), encode)


def _pq() -> Curve:
    """SMPTE ST 2084, equations 4.1 and 5.1; ITU-R BT.2100-2, table 4."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

    def decode(values: FloatArray) -> FloatArray:
        root = values ** (1 / m2)
        return np.asarray((np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) / PQ_WHITE)

    def encode(light: FloatArray) -> FloatArray:
        # The outer power enlarges errors 79 times, which single precision has no digits for.
        root = (light.astype(np.float64) * PQ_WHITE) ** m1
        return np.asarray(((c1 + c2 * root) / (1 + c3 * root)) ** m2)

    # Zero light has a code of c1 ** m2, some 7e-7: far below half a step of 16 bits.
    return Curve(decode, encode)


def _hlg() -> Curve:
    """ARIB STD-B67; ITU-R BT.2100-2, table 5: the scene's light, before any display's system gamma."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073

    def to_scene(values: FloatArray) -> FloatArray:
        return np.asarray(np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12))

    white = float(to_scene(np.float64(HLG_WHITE_SIGNAL)))

    def encode(light: FloatArray) -> FloatArray:
        scene = light * white
        bent = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
        return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), bent))

    return Curve(lambda v: to_scene(v) / white, encode)


# ITU-R BT.709-6 and BT.2020-2 give alpha and beta rounded; these meet without a step (BT.2020-2, note 2).
_BT709 = _camera(1.09929682680944, 0.018053968510807, 4.5, 0.45)
_SMPTE240M = _camera(1.111572195921731, 0.022821585529445, 4.0, 0.45)
# IEC 61966-2-1 (sRGB): its two pieces meet at 0.0031308 to within its own digits.
_SRGB = _camera(1.055, 0.0031308, 12.92, 1 / 2.4)

_CURVES: dict[str, Curve] = {
    "bt709": _BT709,
    "smpte170m": _BT709,
    "bt2020-10": _BT709,
    "bt2020-12": _BT709,
    "iec61966-2-4": _BT709,
    "bt1361e": _BT709,
    "smpte240m": _SMPTE240M,
    SRGB: _SRGB,
    "gamma22": _power(2.2),
    "gamma28": _power(2.8),
    "linear": _power(1.0),
    "log100": _logarithm(2.0),
    "log316": _logarithm(2.5),
    "smpte428": _power(2.6, white=48 / 52.37),
    "smpte2084": _pq(),
    "arib-std-b67": _hlg(),
}

# More than any code value reaches, and small enough to compute with.
_BRIGHTEST = np.float32(1e4)

TRANSFERS = tuple(_CURVES)
"""Names of all transfer functions."""


def curve_of(transfer: str) -> Curve:
    """The functions of a transfer.

    Raises:
        OptionError: The name is unknown, or ``unspecified``.
    """
    if transfer not in _CURVES:
        raise OptionError(f"Unknown transfer function '{transfer}'.", "known: " + ", ".join(TRANSFERS))
    return _CURVES[transfer]


def register_curve(name: str, curve: Curve) -> None:
    """Register a curve, such as that of a photo's profile, under ``name`` in this process."""
    _CURVES.setdefault(name, curve)


@lru_cache(maxsize=8)
def light_of_codes(transfer: str, dtype: np.dtype[Any]) -> Light:
    """The light of every code value of uint8 or uint16: ``(256,)`` or ``(65536,)``, read-only."""
    top = np.iinfo(dtype).max
    table = curve_of(transfer).decode(np.arange(top + 1) / top).astype(np.float32)
    table.flags.writeable = False
    return table


def decode(pixels: Pixels, transfer: str) -> Light:
    """The light of uint8 or uint16 code values of any shape, as a new array.

    Raises:
        OptionError: An unknown transfer.
    """
    table = light_of_codes(transfer, pixels.dtype)
    if pixels.dtype == np.uint8 and pixels.size:
        import cv2  # not at the top: the command line starts without it

        return np.asarray(cv2.LUT(pixels, table), np.float32).reshape(pixels.shape)
    return np.asarray(table[pixels])


def encode(light: FloatArray, transfer: str, dtype: npt.DTypeLike) -> Pixels:
    """Finite light as uint8 or uint16 code values, rounded and clipped to their range.

    Raises:
        OptionError: An unknown transfer.
    """
    top = np.iinfo(np.dtype(dtype)).max
    curve = curve_of(transfer)
    values = curve.encode(np.clip(light, np.float32(curve.least), _BRIGHTEST))
    return np.asarray(np.clip(np.rint(values * top), 0, top), dtype=dtype)


def shadow_of_light(shadow: Float32Array, transfer: str) -> Float32Array:
    """Convert a factor on code values to a factor on light, in [0, 1]; exact for power functions.

    For other curves, the result is the factor for middle grey.
    """
    grey = 0.5
    curve = curve_of(transfer)
    if curve.of_scene:
        return shadow
    function = curve.decode
    least = function(np.float64(grey))
    return np.asarray(1 - function((1 - shadow) * np.float32(grey)) / least, dtype=np.float32)

"""Colour spaces of ICC profiles: conversion between them, their transfer curve and their primaries.

Profiles of a matrix and curves (sRGB, Adobe RGB, Display P3) are computed in floats, after ICC.1:2010,
annex F.3. Those of look-up tables go through Little CMS with 8 bits. Without a profile, code values are sRGB.
All conversions are relative colorimetric: white stays white.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from cleanplate.frame import Float64Array, FloatArray, Light, Pixels, to_depth
from cleanplate.media.colour.transfer import SRGB, Curve, curve_of, register_curve

_CURVE_STEPS = 4096
"""Support points of a tabulated curve, with linear interpolation between them."""

_SAME = 0.6 / 255
"""Largest difference of code values, in [0, 1], between two spaces that count as one."""

_BAND = 256
"""Rows that are converted at a time: intermediate arrays stay small."""

_D50 = np.array((0.9642, 1.0, 0.8249))
"""White of the profile connection space (ICC.1:2010, 7.2.16)."""

# IEC 61966-2-1 with its white adapted to D50 (Bradford), as every sRGB profile has it.
_SRGB_TO_D50 = np.array(
    ((0.4360747, 0.3850649, 0.1430804), (0.2225045, 0.7168786, 0.0606169), (0.0139322, 0.0971045, 0.7141733))
)
# Bradford's adaptation from D65 to D50 (ICC.1:2010, annex E), for profiles that do not say theirs.
_D65_TO_D50 = np.array(
    (
        (1.0479298, 0.0229468, -0.0501922),
        (0.0296278, 0.9904344, -0.0170738),
        (-0.0092430, 0.0150552, 0.7518743),
    )
)


@dataclass(frozen=True)
class ColourSpace:
    """An RGB space of a matrix and one curve a channel.

    Attributes:
        to_d50: ``(3, 3)``: linear RGB to XYZ of the profile connection space, whose white is D50.
        curves: Curves of red, green and blue, as tables over [0, 1] of equal steps: code values to light.
        adaptation: ``(3, 3)``: from the XYZ of the space's own white to that of D50.
    """

    to_d50: Float64Array
    curves: tuple[Float64Array, Float64Array, Float64Array]
    adaptation: Float64Array

    @property
    def transfer(self) -> Curve | None:
        """The transfer function; None if the channels have different ones."""
        red, green, blue = self.curves
        if max(np.abs(red - green).max(), np.abs(blue - green).max()) > 1e-4:
            return None
        return Curve(lambda v: _look_up(green, v), lambda x: _look_up_inverse(green, x))

    @property
    def chromaticities(self) -> tuple[float, ...]:
        """x and y of red, green, blue and white."""
        own = np.linalg.solve(self.adaptation, self.to_d50)
        points = [*own.T, own.sum(axis=1)]
        return tuple(float(value / xyz.sum()) for xyz in points for value in xyz[:2])

    def decode(self, values: Float64Array) -> Float64Array:
        """Code values in [0, 1], ``(N, 3)``, as linear light of the same primaries."""
        return np.stack([_look_up(self.curves[i], values[:, i]) for i in range(3)], axis=1)

    def encode(self, light: Float64Array) -> Float64Array:
        """Undo :meth:`decode`; light outside of [0, 1] is clipped."""
        return np.stack([_look_up_inverse(self.curves[i], light[:, i]) for i in range(3)], axis=1)


def _look_up(table: Float64Array, values: FloatArray) -> FloatArray:
    return np.interp(values, np.linspace(0, 1, len(table)), table)


def _look_up_inverse(table: Float64Array, light: FloatArray) -> FloatArray:
    return np.interp(light, np.maximum.accumulate(table), np.linspace(0, 1, len(table)))


@lru_cache(maxsize=8)
def read_profile(profile: bytes | None) -> ColourSpace | None:
    """The colour space of a profile, of sRGB for None.

    Returns:
        None for a profile of look-up tables, and for a damaged one.
    """
    if profile is None:
        steps = np.linspace(0, 1, _CURVE_STEPS + 1)
        curve = np.asarray(curve_of(SRGB).decode(steps), np.float64)
        return ColourSpace(_balance(_SRGB_TO_D50), (curve, curve, curve), _D65_TO_D50)
    try:
        return _read_matrix_profile(profile)
    except (struct.error, ValueError, KeyError, IndexError, np.linalg.LinAlgError):
        return None


def _read_matrix_profile(profile: bytes) -> ColourSpace | None:
    (count,) = struct.unpack_from(">I", profile, 128)
    tags: dict[bytes, bytes] = {}
    for number in range(min(count, 200)):
        name, at, size = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        tags[name] = profile[at : at + size]
    # Tables go before the matrix where a profile has both.
    if profile[16:24] != b"RGB XYZ " or b"A2B0" in tags or b"A2B1" in tags:
        return None
    matrix = np.stack([_read_numbers(tags[name], 8, 3) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
    red, green, blue = (_read_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    adaptation = _read_numbers(tags[b"chad"], 8, 9).reshape(3, 3) if b"chad" in tags else _D65_TO_D50
    np.linalg.inv(matrix), np.linalg.inv(adaptation)  # LinAlgError for a matrix that mixes no three colours
    return ColourSpace(_balance(matrix), (red, green, blue), adaptation)


def _balance(matrix: Float64Array) -> Float64Array:
    """Scale a matrix to XYZ so that white is D50 in all digits: profiles round theirs."""
    return np.asarray(matrix * (_D50 / matrix.sum(axis=1))[:, None])


def _read_numbers(tag: bytes, at: int, count: int) -> Float64Array:
    """Fixed-point numbers of 15 and 16 bits (s15Fixed16Number)."""
    return np.array(struct.unpack_from(f">{count}i", tag, at), np.float64) / 65536


def _read_curve(tag: bytes) -> Float64Array:
    """A curve of type ``curv`` or ``para`` (ICC.1:2010, 10.5 and 10.15) as a table over [0, 1]."""
    x = np.linspace(0, 1, _CURVE_STEPS + 1)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return x
        values = np.array(struct.unpack_from(f">{count}H", tag, 12), np.float64)
        return np.asarray(x ** (values[0] / 256)) if count == 1 else values / 65535
    if tag[:4] != b"para":
        raise ValueError(f"a curve of type {tag[:4]!r}")
    (kind,) = struct.unpack_from(">H", tag, 8)
    g, a, b, c, d, e, f = (*_read_numbers(tag, 12, (1, 3, 4, 5, 7)[kind]), *[0.0] * 6)[:7]
    if kind == 0:
        return np.asarray(x**g)
    straight = {1: 0 * x, 2: 0 * x + c, 3: c * x, 4: c * x + f}[kind]
    knee = -b / a if kind in (1, 2) else d
    lift = {1: 0.0, 2: c, 3: 0.0, 4: e}[kind]
    return np.asarray(np.clip(np.where(x >= knee, np.maximum(a * x + b, 0) ** g + lift, straight), 0, 1))


def same_colours(source: bytes | None, target: bytes | None) -> bool:
    """Tell whether two profiles (None: sRGB) describe the same space, or one of them is damaged."""
    return _find_conversion(source, target) is None


def transfer_of_profile(profile: bytes) -> str | None:
    """The name of a profile's transfer function, for :mod:`cleanplate.media.colour.transfer`.

    Returns:
        None for sRGB, and for a profile without one: of look-up tables, or with a curve for each channel.
    """
    space = read_profile(profile)
    curve = None if space is None else space.transfer
    if curve is None or same_colours(None, profile):
        return None
    name = f"icc-{zlib.crc32(profile):08x}-{len(profile)}"
    register_curve(name, curve)
    return name


def convert_colours(pixels: Pixels, source: bytes | None, target: bytes | None) -> Pixels:
    """Convert code values from one profile's space to another's.

    Args:
        pixels: uint8 or uint16 RGB of any size, ``(..., 3)``.
        source: Profile of the pixels; None: sRGB.
        target: Profile of the result; None: sRGB.

    Returns:
        Pixels of the same shape and type; ``pixels`` themselves if the two spaces are the same, or if a
        profile is damaged.
    """
    convert = _find_conversion(source, target)
    if convert is None:
        return pixels
    flat = pixels.reshape(-1, pixels.shape[-2] if pixels.ndim > 2 else len(pixels), 3)
    result = np.empty_like(flat)
    for top in range(0, len(flat), _BAND):
        result[top : top + _BAND] = convert(flat[top : top + _BAND])
    return result.reshape(pixels.shape)


def convert_light(light: Light, target: bytes | None) -> Light:
    """Convert light of the primaries of BT.709, ``(height, width, 3)``, to the primaries of a profile.

    Returns:
        float32; ``light`` itself for the same primaries, and for a profile without a matrix.
    """
    space = read_profile(target)
    if target is None or space is None or _find_conversion(None, target) is None:
        return light
    matrix = np.linalg.solve(space.to_d50, _SRGB_TO_D50)
    return np.asarray(light @ matrix.T.astype(np.float32), np.float32)


@lru_cache(maxsize=8)
def _find_conversion(source: bytes | None, target: bytes | None) -> Callable[[Pixels], Pixels] | None:
    """The function that converts a band of pixels; None if no conversion is needed."""
    if source == target:
        return None
    ours, theirs = read_profile(source), read_profile(target)
    convert = _convert_by_lcms(source, target)
    if ours is not None and theirs is not None:
        convert = _convert_by_matrix(ours, theirs)
    if convert is None:
        return None
    # A lattice of 9 x 9 x 9 colours shows whether the two profiles describe the same space.
    steps = np.linspace(0, 65535, 9).round().astype(np.uint16)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    change = np.abs(convert(lattice).astype(np.float64) - lattice).max() / 65535
    return None if change <= _SAME else convert


def _convert_by_matrix(source: ColourSpace, target: ColourSpace) -> Callable[[Pixels], Pixels]:
    matrix = np.linalg.solve(target.to_d50, source.to_d50).T

    def convert(band: Pixels) -> Pixels:
        top = np.iinfo(band.dtype).max
        light = source.decode(band.reshape(-1, 3) / top) @ matrix
        return np.asarray(np.rint(target.encode(light) * top), band.dtype).reshape(band.shape)

    return convert


def _convert_by_lcms(source: bytes | None, target: bytes | None) -> Callable[[Pixels], Pixels] | None:
    import io

    from PIL import Image, ImageCms

    def open_profile(profile: bytes | None) -> Any:
        if profile is None:
            return ImageCms.createProfile("sRGB")
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))

    try:
        transform = ImageCms.buildTransform(
            open_profile(source),
            open_profile(target),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None

    def convert(band: Pixels) -> Pixels:
        image = Image.fromarray(np.ascontiguousarray(to_depth(band, np.dtype(np.uint8))), "RGB")
        return to_depth(np.asarray(ImageCms.applyTransform(image, transform)), band.dtype)

    return convert

"""The compositor: foreground *over* backdrop (Porter and Duff 1984), cut-outs, the alpha of a source.

Inputs and results are gamma-encoded uint8 or uint16 with straight colour, unless stated otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.errors import InputError
from cleanplate.frame import (
    Float32Array,
    Matte,
    Pixels,
    alpha_to_float,
)
from cleanplate.media.colour.transfer import SRGB, decode, encode, shadow_of_light

HINT_REACH = 0.008
"""Distance by which a coarse hint is shrunk, as a share of the longer side: 15 pixels of 1920. Chosen, not
measured."""

# Smallest and largest alpha of pixels that mix both layers.
_LEAST_MIXED, _MOST_MIXED = (
    float(np.finfo(np.float32).tiny),
    float(np.nextafter(np.float32(1), np.float32(0))),
)


def over(
    foreground: Pixels,
    alpha: Float32Array,
    backdrop: Pixels,
    *,
    linear_light: bool = False,
    transfer: str = SRGB,
) -> Pixels:
    """Composite the foreground over the backdrop: ``foreground * alpha + backdrop * (1 - alpha)``, rounded.

    Args:
        foreground: Straight colour, uint8 or uint16 ``(height, width, 3)``.
        alpha: float32 in [0, 1], ``(height, width)``.
        backdrop: Same shape and type as the foreground.
        linear_light: Mix light instead of code values, as a lens does: brighter, softer edges. Pixels of
            only one layer are the same in both cases.
        transfer: Transfer function of the code values, one of
            :data:`cleanplate.media.colour.transfer.TRANSFERS`.

    Returns:
        A new array, shaped and typed like the foreground.

    Raises:
        InputError: The arrays do not fit each other.
        OptionError: An unknown transfer.
    """
    _check_layers(foreground, alpha, backdrop)
    result: Pixels = backdrop.copy()
    rows, columns = _extent(alpha)
    if rows.start == rows.stop:
        return result
    part = (rows, columns)
    if linear_light:
        result[part] = _mix_light(foreground[part], alpha[part], backdrop[part], transfer)
    else:
        _lay_encoded(foreground[rows], alpha[rows], result[rows])
    return result


def straight_rgba(matte: Matte) -> Pixels:
    """The cut-out: foreground and alpha as ``(height, width, 4)`` in the frame's type, colour straight."""
    rgba = cv2.cvtColor(matte.foreground, cv2.COLOR_RGB2RGBA)
    return np.asarray(cv2.insertChannel(alpha_picture(matte), rgba, 3))


def alpha_picture(matte: Matte) -> Pixels:
    """Alpha as ``(height, width)`` in the frame's type: 1 becomes its largest value; rounded."""
    if matte.foreground.dtype == np.uint8:
        return np.asarray(cv2.convertScaleAbs(matte.alpha, alpha=255.0))
    return np.asarray(np.rint(matte.alpha * np.float32(65535)), dtype=np.uint16)


def coarse_hint(alpha: Float32Array) -> Float32Array:
    """Alpha as a coarse hint for keyers that take one: a mask, shrunk and blurred, ``(height, width)``.

    Keyers such as CorridorKey are trained on coarse, blurred and shrunk masks: they add what is missing, and
    do not take off what is too much.
    """
    reach = max(1, round(HINT_REACH * max(alpha.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    core = cv2.erode((alpha >= 0.5).astype(np.float32), disc)
    return np.asarray(cv2.GaussianBlur(core, (0, 0), reach / 2), np.float32)


def shadow_picture(matte: Matte) -> Pixels:
    """Share of the light that remains in the shadow, ``(height, width)`` in the frame's type.

    White where there is no shadow; all white for a matte whose shadow was not measured.
    """
    top = np.iinfo(matte.foreground.dtype).max
    if matte.shadow is None:
        return np.full(matte.alpha.shape, top, matte.foreground.dtype)
    return np.asarray(np.rint((1 - matte.shadow) * np.float32(top)), dtype=matte.foreground.dtype)


def data_picture(data: npt.NDArray[np.floating[Any] | np.bool_], dtype: np.dtype[Any]) -> Pixels:
    """Numbers in [0, 1], or a mask, as ``(height, width)`` of uint8 or uint16, rounded."""
    return np.asarray(np.rint(data * np.float32(np.iinfo(dtype).max)), dtype=dtype)


def fold_shadow(matte: Matte, transfer: str | None = None) -> Matte:
    """Put the shadow into alpha, as black, so that a plain *over* darkens the backdrop.

    ``foreground * alpha + (1 - alpha) * (1 - shadow) * backdrop`` is the same as *over* with the folded
    matte. The same matte if it has no shadow.

    Args:
        matte: With a separate shadow.
        transfer: For an *over* in linear light: transfer function of the code values, on which the shadow
            is measured.
    """
    if matte.shadow is None:
        return matte
    shadow = matte.shadow if transfer is None else shadow_of_light(matte.shadow, transfer)
    alpha = matte.alpha + (1 - matte.alpha) * shadow
    # Without subject and shadow the colour is kept, because editors mix it into edges.
    share = np.divide(matte.alpha, alpha, out=np.ones_like(alpha), where=alpha > 0)
    # If alpha is nearly all shadow, the colour is a fraction of a step and rounds to black.
    if transfer is None:
        foreground = np.rint(matte.foreground * share[..., None]).astype(matte.foreground.dtype)
    else:
        foreground = matte.foreground.copy()
        both = share < 1
        light = decode(foreground[both], transfer) * share[both][:, None]
        foreground[both] = encode(light, transfer, foreground.dtype)
    lit = None if matte.light is None else matte.light * share[..., None]
    return replace(matte, alpha=alpha, foreground=foreground, shadow=None, light=lit)


def apply_source_alpha(matte: Matte) -> Matte:
    """Multiply the alpha of the frame's source into the matte; the same matte if the source is opaque.

    Alpha, shadow and expected error are multiplied, and nothing counts as refined where the source is
    transparent. The colour stays. Mattes on a device are multiplied there.
    """
    source = matte.frame.alpha
    if source is None:
        return matte
    weight = alpha_to_float(source)
    alpha: Any = matte.alpha
    if not isinstance(alpha, np.ndarray):
        return replace(matte, alpha=alpha * alpha.new_tensor(weight))
    return replace(
        matte,
        alpha=alpha * weight,
        shadow=None if matte.shadow is None else matte.shadow * weight,
        error=None if matte.error is None else matte.error * weight,
        refined=None if matte.refined is None else matte.refined & (source > 0),
    )


def describe_source_alpha(name: str, source_alpha: str) -> str:
    """Note on a source with an alpha channel: whether it is used, and the option for it.

    Args:
        name: The source's file name.
        source_alpha: One of :data:`cleanplate.vocabulary.SOURCE_ALPHAS`.
    """
    if source_alpha == "ignore":
        return f"The alpha channel of {name} is ignored; with source-alpha 'use' it is multiplied in."
    return (
        f"{name} has an alpha channel, which is multiplied into the result: transparent parts are not the "
        "subject. With source-alpha 'ignore' the whole picture is keyed."
    )


def premultiply(rgba: Pixels) -> Pixels:
    """Multiply the colour of ``(height, width, 4)`` by its alpha, rounded."""
    _check_rgba(rgba)
    if rgba.dtype == np.uint8:
        red, green, blue, alpha = cv2.split(rgba)
        multiplied = [cv2.multiply(channel, alpha, scale=1 / 255) for channel in (red, green, blue)]
        return np.asarray(cv2.merge([*multiplied, alpha]))
    top = np.uint32(65535)
    result: Pixels = rgba.copy()
    colour = rgba[..., :3].astype(np.uint32)
    result[..., :3] = (colour * rgba[..., 3:] + top // 2) // top
    return result


def _check_layers(foreground: Pixels, alpha: Float32Array, backdrop: Pixels) -> None:
    if foreground.dtype not in (np.uint8, np.uint16) or foreground.ndim != 3 or foreground.shape[2] != 3:
        raise InputError(
            f"Expected the foreground as RGB of uint8 or uint16, got {foreground.dtype} {foreground.shape}."
        )
    if backdrop.shape != foreground.shape or backdrop.dtype != foreground.dtype:
        raise InputError(
            f"Expected the backdrop as {foreground.dtype} {foreground.shape}, "
            f"got {backdrop.dtype} {backdrop.shape}."
        )
    if alpha.shape != foreground.shape[:2] or alpha.dtype != np.float32:
        raise InputError(
            f"Expected alpha as float32 of shape {foreground.shape[:2]}, got {alpha.dtype} {alpha.shape}."
        )


def _check_rgba(rgba: Pixels) -> None:
    if rgba.dtype not in (np.uint8, np.uint16) or rgba.ndim != 3 or rgba.shape[2] != 4:
        raise InputError(f"Expected RGBA of uint8 or uint16, got {rgba.dtype} {rgba.shape}.")


def _extent(alpha: Float32Array) -> tuple[slice, slice]:
    """The smallest rectangle that holds all of the foreground; empty rows if there is none."""
    rows = np.flatnonzero(alpha.any(axis=1))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    columns = np.flatnonzero(alpha[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _lay_encoded(foreground: Pixels, alpha: Float32Array, onto: Pixels) -> None:
    """Composite whole rows over those of a backdrop; only pixels of both layers are mixed."""
    # Below this share of a layer, its part is less than half a step.
    least = 0.49 / np.iinfo(foreground.dtype).max
    solid, faint = alpha >= 1 - least, alpha <= least
    mixed = np.flatnonzero(~(solid | faint))
    colour, behind = (rows.reshape(-1, 3)[mixed][None] for rows in (foreground, onto))
    cv2.copyTo(foreground, solid.view(np.uint8), onto)
    if mixed.size:
        onto.reshape(-1, 3)[mixed] = _mix_encoded(colour, alpha.reshape(-1)[mixed][None], behind)[0]


def _mix_encoded(foreground: Pixels, alpha: Float32Array, backdrop: Pixels) -> Pixels:
    rest = 1.0 - alpha
    if foreground.dtype == np.uint8:
        # Divides by the weights' sum + 1e-5; the error is far below half a step of 8 bits.
        return np.asarray(cv2.blendLinear(foreground, backdrop, alpha, rest))
    mixed = foreground * alpha[..., None] + backdrop * rest[..., None]
    np.rint(mixed, out=mixed)
    return np.asarray(np.clip(mixed, 0, 65535, out=mixed), dtype=np.uint16)


def _mix_light(foreground: Pixels, alpha: Float32Array, backdrop: Pixels, transfer: str) -> Pixels:
    """Mix in linear light; only pixels of both layers are converted."""
    result = cv2.copyTo(foreground, (alpha > 0.5).view(np.uint8), backdrop.copy())
    both = np.flatnonzero(cv2.inRange(alpha, _LEAST_MIXED, _MOST_MIXED))
    near, far = (picture.reshape(-1, 3)[both] for picture in (foreground, backdrop))
    weight = alpha.reshape(-1)[both][:, None]
    front, behind = decode(near, transfer), decode(far, transfer)
    light = behind + (front - behind) * weight
    result.reshape(-1, 3)[both] = encode(light, transfer, foreground.dtype)
    return np.asarray(result)

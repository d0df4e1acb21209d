"""The last step on a matte, between the keyer and the saved layers.

A network estimates the subject's colour inside of the subject. Outside, its foreground is the background of
the source, which becomes visible when an editor scales, blurs or filters a straight cut-out;
:func:`bleed_colour` puts the subject's colour there instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.compositing.highlights import light_of_foreground
from cleanplate.compositing.over import fold_shadow
from cleanplate.compositing.specks import remove_specks
from cleanplate.frame import ByteArray, Float32Array, Matte, Pixels, to_depth
from cleanplate.vocabulary import FinishOptions

SUBJECT = (0.5, 0.9)
"""A colour counts as the subject's from the second alpha on, and not at all below the first."""

KEPT = (0.05, 0.35)
"""From the second alpha on, a pixel keeps its colour; below the first, it gets the nearby subject's."""

SPILLED = (0.9, 0.999)
"""Up to the first alpha, ``despill`` acts in full; from the second on, not at all. Measured by the squared
error of soft colour in 12 cases (docs/log.md, 2026-11-23)."""

SHORTEST_WAY = 0.003
"""Least squared distance of the subject's and the plate's colour for despill, in [0, 1]: 14 steps of 255.
The direction of a distance as short as the noise is random."""

ENOUGH = 0.25
"""Share of a block of 4 x 4 that has to be subject for the block to have its own colour."""

_LEAST_WEIGHT = np.float32(1e-6)

BAND = 64
"""Rows at a time, so that intermediate arrays stay in the cache and reuse mapped memory."""


@dataclass(frozen=True)
class Finish(FinishOptions):
    """Last step on every matte before layers are made: a matte in, a matte out.

    The fields are those of :class:`cleanplate.vocabulary.FinishOptions`.
    """

    @property
    def spreads(self) -> bool:
        """True if the subject's colour is continued outside of the subject."""
        grows = self.choke_pixels < 0 or self.blur_pixels > 0 or self.gamma > 1
        return self.bleed or grows or self.despill > 0

    def __call__(self, matte: Matte) -> Matte:
        if self.despeckle > 0:
            matte = remove_specks(matte, self.despeckle)
        # Colours are selected by the network's own alpha, so that they also cover a grown or blurred one.
        colour = matte.foreground
        if self.spreads:
            colour = bleed_colour(colour, matte.alpha, matte.plate, self.despill)
        alpha = bend_alpha(
            blur_alpha(choke_alpha(matte.alpha, self.choke_pixels), self.blur_pixels), self.gamma
        )
        light = light_of_foreground(colour, matte.alpha, matte.frame)
        finished = replace(matte, alpha=alpha, foreground=colour, light=light)
        # The shadow is last, because its black must not bleed.
        return fold_shadow(finished, self.transfer) if self.keep_shadow else finished


def plan_finish(shadow: str, options: FinishOptions | None) -> tuple[str, Finish]:
    """Choose the keyer's shadow mode and the finish: a kept shadow is put into alpha at the end."""
    finish = Finish() if options is None else Finish(**vars(options))
    return ("separate", replace(finish, keep_shadow=True)) if shadow == "keep" else (shadow, finish)


def choke_alpha(alpha: Float32Array, pixels: float) -> Float32Array:
    """Shrink alpha by ``pixels``; a negative number grows it; the same array for 0.

    Erosion by a disc moves hard and soft edges by whole pixels; for a fraction, the results of two discs are
    mixed. The border of the picture is no edge.
    """
    if pixels == 0:
        return alpha
    move = cv2.erode if pixels > 0 else cv2.dilate
    whole, fraction = divmod(abs(pixels), 1)
    near = alpha if whole == 0 else move(alpha, _disc(int(whole)))
    if fraction == 0:
        return np.asarray(near, dtype=np.float32)
    far = move(alpha, _disc(int(whole) + 1))
    return np.asarray(cv2.addWeighted(near, 1 - fraction, far, fraction, 0), dtype=np.float32)


def blur_alpha(alpha: Float32Array, pixels: float) -> Float32Array:
    """Blur by a Gaussian of this standard deviation; the same array for 0."""
    if pixels == 0:
        return alpha
    blurred = cv2.GaussianBlur(alpha, (0, 0), pixels, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(blurred, 0, 1), dtype=np.float32)


def bend_alpha(alpha: Float32Array, gamma: float) -> Float32Array:
    """``alpha ** (1 / gamma)``: above 1, translucent parts get denser; the same array for 1."""
    return alpha if gamma == 1 else np.asarray(np.power(alpha, np.float32(1 / gamma)), dtype=np.float32)


def _disc(radius: int) -> ByteArray:
    reach = np.arange(-radius, radius + 1) ** 2
    return (reach[:, None] + reach <= radius * radius + radius * 0.5).astype(np.uint8)


def bleed_colour(
    foreground: Pixels, alpha: Float32Array, plate: Pixels | None = None, despill: float = 0.0
) -> Pixels:
    """Continue the subject's colour outward, where alpha is small or 0.

    With ``despill``, an edge colour between that of the subject nearby and that of the plate
    is moved to the subject's. Solving the compositing equation for the foreground would do the same for an
    exact alpha; with the alpha of a network its error is larger (docs/log.md, 2026-11-23).

    Args:
        foreground: Straight colour, uint8 or uint16 ``(height, width, 3)``.
        alpha: float32 in [0, 1], ``(height, width)``.
        plate: The plate, like the foreground; None: no despill.
        despill: Share of the plate's colour that is removed, 0 to 1.

    Returns:
        A new array like the foreground; without ``despill``, with the same colours where alpha is 0.36 or
        more. Black if there is no subject at all.
    """
    box = _find_subject(alpha)
    if box[0].start == box[0].stop:
        return np.zeros_like(foreground)
    subject = _spread_subject(foreground, alpha, box)
    if plate is not None and despill > 0:
        foreground = _take_off_plate(foreground, alpha, subject, plate, despill)
    # Outside of the box the result is only the subject's colour.
    _lay_kept(foreground[box], _ramp(alpha[box], KEPT, foreground.dtype), subject[box])
    return subject


def _take_off_plate(
    foreground: Pixels, alpha: Float32Array, subject: Pixels, plate: Pixels, amount: float
) -> Pixels:
    """Remove the component of each edge pixel's colour that points from the subject's colour to the plate's.

    The perpendicular component, the variation within the subject, stays.
    """
    solid, full = SPILLED
    edge = (alpha > KEPT[0]) & (alpha < full)
    top = np.float32(np.iinfo(foreground.dtype).max)
    own, near, behind = (picture[edge] / top for picture in (foreground, subject, plate))
    way = behind - near
    share = np.sum((own - near) * way, axis=1) / np.maximum(np.sum(way * way, axis=1), SHORTEST_WAY)
    weight = amount * np.clip((full - alpha[edge]) / (full - solid), 0, 1)
    cleaned = own - way * (np.clip(share, 0, 1) * weight)[:, None]
    result: Pixels = foreground.copy()
    result[edge] = np.clip(np.rint(cleaned * top), 0, top).astype(foreground.dtype)
    return result


def _find_subject(alpha: Float32Array) -> tuple[slice, slice]:
    """Rows and columns of the rectangle around the visible subject; no rows if there is none.

    Its sides lie on the borders of bands and of blocks of 4 x 4, or on those of the picture, so that averages
    inside of it equal those of the whole picture.
    """
    height, width = alpha.shape
    left, top, columns, rows = cv2.boundingRect(cv2.convertScaleAbs(alpha, alpha=255.0))
    right, bottom = left + columns, top + rows
    across = slice(left // 4 * 4, min(-(-right // 4) * 4, width)) if width % 4 == 0 else slice(0, width)
    return slice(top // BAND * BAND, min(-(-bottom // BAND) * BAND, height)), across


def _spread_subject(foreground: Pixels, alpha: Float32Array, box: tuple[slice, slice]) -> Pixels:
    """The subject's colour everywhere: the colour of the nearest edge, farther out a mean over a larger part.

    Averages over growing blocks, and fills gaps from coarse to fine ("pull-push": Gortler, Grzeszczuk,
    Szeliski and Cohen, The Lumigraph, 1996). There is no subject outside of ``box``.
    """
    height, width = (-(-side // 2) for side in _half(alpha))
    colour, known = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    small = tuple(slice(side.start // 4, -(-side.stop // 4)) for side in box)
    inside, weight = foreground[box], _ramp(alpha[box], SUBJECT, foreground.dtype)
    colour[small] = np.concatenate([_shrink(_multiply(inside[b], weight[b])) for b in _bands(weight)])
    known[small] = np.concatenate([_shrink(weight[b]) for b in _bands(weight)])
    top = np.float32(np.iinfo(foreground.dtype).max)
    filled = np.clip(np.rint(_fill(colour, known, small) * top), 0, top).astype(foreground.dtype)
    return np.asarray(cv2.resize(filled, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _fill(colour: Float32Array, weight: Float32Array, box: tuple[slice, ...] = ()) -> Float32Array:
    """Divide ``(height, width, 3)`` by its weight (65535: all); fill gaps from a picture of half the size.

    Outside of ``box`` all weights are 0, so only that picture counts there.
    """
    if weight.size == 1:
        return np.asarray(colour / np.maximum(weight, _LEAST_WEIGHT)[..., None])
    coarser = _fill(_halve(colour).reshape(*_half(weight), 3), _halve(weight).reshape(_half(weight)))
    filled = cv2.resize(coarser, weight.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(colour.shape)
    around, weight = filled[box], weight[box]
    own = colour[box] / np.maximum(weight, _LEAST_WEIGHT)[..., None]
    own -= around
    own *= np.minimum(weight / np.float32(65535 * ENOUGH), np.float32(1))[..., None]
    around += own
    return np.asarray(filled)


def _bands(picture: Pixels) -> Iterator[slice]:
    return (slice(top, top + BAND) for top in range(0, len(picture), BAND))


def _shrink(picture: Pixels) -> Pixels:
    """Shrink to a quarter of each side, in 16 bits: 8 bits cannot hold the weight of one pixel of 16."""
    return _halve(to_depth(_halve(picture), np.uint16))


def _half(picture: npt.NDArray[np.generic]) -> tuple[int, int]:
    return -(-picture.shape[0] // 2), -(-picture.shape[1] // 2)


def _halve(picture: Pixels) -> Pixels:
    return np.asarray(cv2.resize(picture, _half(picture)[::-1], interpolation=cv2.INTER_AREA))


def _ramp(alpha: Float32Array, ends: tuple[float, float], dtype: np.dtype[Any]) -> Pixels:
    """Linear ramp from 0 at the first alpha to the type's largest value at the second, in 256 steps."""
    return np.asarray(cv2.LUT(cv2.convertScaleAbs(alpha, alpha=255.0), _tabulate(ends, dtype)))


@lru_cache
def _tabulate(ends: tuple[float, float], dtype: np.dtype[Any]) -> Pixels:
    steps = np.linspace(0, 1, 256)
    top = np.iinfo(dtype).max
    return np.rint(np.clip((steps - ends[0]) / (ends[1] - ends[0]), 0, 1) * top).astype(dtype)


def _lay_kept(foreground: Pixels, kept: Pixels, onto: Pixels) -> None:
    """Mix the foreground into the other picture by the weight ``kept``, up to the type's largest value."""
    for band in _bands(kept):
        rest = _multiply(onto[band], cv2.bitwise_not(kept[band]))
        onto[band] = cv2.add(_multiply(foreground[band], kept[band]), rest)


def _multiply(colour: Pixels, weight: Pixels) -> Pixels:
    top = np.iinfo(colour.dtype).max
    return np.asarray(cv2.multiply(colour, cv2.merge([weight] * 3), scale=1 / top))

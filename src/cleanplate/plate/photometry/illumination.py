"""A change of light that differs from place to place: a smooth field of factors between plate and frame.

The logarithm of frame / plate is averaged over a wide neighbourhood (normalised convolution, Knutsson and
Westin 1993), weighted by the certainty that both show the same thing; hidden parts take the light around
them.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import BoolArray, Float32Array, Pixels
from cleanplate.plate.photometry.exposure import weigh_sameness
from cleanplate.plate.structure import Structure

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

REACH_SHARE = 0.08
"""Sigma of the neighbourhood as a share of the longer side: light is soft, things are not."""

PRIOR = 0.02
"""Weight of the whole picture's factor in each place, as a share of a pixel that shows background."""

DARKEST, BRIGHTEST = 0.03, 0.97
"""Values, of 1, between which a channel's ratio is used: below, noise decides (8 code values), above,
clipping."""

LEAST_VOTES = 20.0
"""Weight, in pixels, below which the light is not measured and stays as it was."""

FIRST_REACH, LAST_REACH = 1.2, 0.3
"""Difference of logarithms at which a pixel's weight is 0: from the global factor, from the field."""

UNIFORM_LOG = 0.002
"""Spread of the field below which one factor for each channel is used: half of an 8-bit step at white."""


def measure_light(plate: Structure, frame: Structure, free: BoolArray, before: Float32Array) -> Float32Array:
    """Measure log(frame / plate) as a smooth field.

    Args:
        plate: Small structure of the plate.
        frame: The same of the frame, at the same size.
        free: Mask of pixels without the subject, ``(height, width)``.
        before: The field until now, float32 ``(height, width, 3)``.

    Returns:
        The field, float32 ``(height, width, 3)``; ``before`` where too little background shows.
    """
    usable = (plate.colour > DARKEST) & (plate.colour < BRIGHTEST)
    usable &= (frame.colour > DARKEST) & (frame.colour < BRIGHTEST)
    weights = (weigh_sameness(plate, frame) * free)[..., None] * usable
    if float(weights.sum(axis=(0, 1)).min()) < LEAST_VOTES:
        return before
    floor = np.float32(1e-3)
    ratios = np.log(np.maximum(frame.colour, floor) / np.maximum(plate.colour, floor))
    whole = np.array([_weighted_median(ratios[..., c], weights[..., c]) for c in range(3)], np.float32)
    field: Float32Array = np.broadcast_to(whole, ratios.shape).astype(np.float32)
    sigma = REACH_SHARE * max(free.shape)
    for reach in (FIRST_REACH, LAST_REACH):
        # Tukey's biweight: a pixel off by more than the reach shows another thing, not another light.
        trusted = weights * np.clip(1 - ((ratios - field) / reach) ** 2, 0, None) ** 2
        votes = cv2.GaussianBlur(trusted.astype(np.float32), (0, 0), sigma)
        sums = cv2.GaussianBlur((trusted * (ratios - whole)).astype(np.float32), (0, 0), sigma)
        field = np.asarray(whole + sums / (votes + np.float32(PRIOR)), dtype=np.float32)
    return field


def relight(picture: Float32Array, light: Float32Array) -> Float32Array:
    """Multiply a float32 picture of any size by the field's factors, in place, and return it."""
    spread = light.max(axis=(0, 1)) - light.min(axis=(0, 1))
    if float(spread.max()) < UNIFORM_LOG:
        picture *= np.exp(light.mean(axis=(0, 1)))
        return picture
    size = (picture.shape[1], picture.shape[0])
    picture *= cv2.resize(np.exp(light), size, interpolation=cv2.INTER_LINEAR)
    return picture


def round_to(values: Float32Array, dtype: npt.DTypeLike) -> Pixels:
    """Round to uint8 or uint16 and clip."""
    top = 255 if dtype == np.uint8 else 65535
    return np.asarray(np.clip(np.rint(values), 0, top), dtype=dtype)


def _weighted_median(values: Float32Array, weights: Float32Array) -> float:
    values, weights = values[::2, ::2].ravel(), weights[::2, ::2].ravel()
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, total[-1] / 2)]])

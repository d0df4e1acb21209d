"""Differences pixel by pixel: MAD, MSE, SAD, of foreground colour, and within the parts that matter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cleanplate.evaluation.metrics.soft_regions import Alpha, Region, check_alike, near_soft_alpha

NOTHING, WHOLE = 0.004, 0.98
"""True alpha below is background (one step of 8 bits is still), above is inside of the subject."""


def mad(alpha: Alpha, truth: Alpha, region: Region | None = None) -> float:
    """Mean absolute difference, in units of alpha."""
    check_alike(alpha, truth, region)
    return _mean(np.abs(alpha - truth), region)


def mse(alpha: Alpha, truth: Alpha, region: Region | None = None) -> float:
    """Mean squared difference, in units of alpha squared."""
    check_alike(alpha, truth, region)
    return _mean(np.square(alpha - truth), region)


def sad(alpha: Alpha, truth: Alpha, region: Region | None = None) -> float:
    """Sum of absolute differences in thousands, as usual since Xu et al., Deep Image Matting, CVPR 2017."""
    check_alike(alpha, truth, region)
    made = np.abs(alpha - truth)
    return float((made if region is None else made[region]).sum(dtype=np.float64)) / 1000


def leak(alpha: Alpha, truth: Alpha) -> float:
    """Mean alpha too much where there is nothing (the truth is below 0.004): what stays of the set."""
    check_alike(alpha, truth)
    return _mean(np.maximum(alpha - truth, 0), truth < NOTHING)


def holes(alpha: Alpha, truth: Alpha) -> float:
    """Mean alpha that is missing inside of the subject (where the truth is above 0.98)."""
    check_alike(alpha, truth)
    return _mean(np.maximum(truth - alpha, 0), truth > WHOLE)


def edge_mad(alpha: Alpha, truth: Alpha) -> float:
    """MAD within 12 pixels of soft alpha, see :func:`near_soft_alpha`."""
    return mad(alpha, truth, near_soft_alpha(truth))


def recomposition_error(
    alpha: Alpha,
    foreground: npt.NDArray[np.floating[Any]],
    truth: Alpha,
    true_foreground: npt.NDArray[np.floating[Any]],
) -> float:
    """Mean absolute difference of the picture over black, mid-grey and white, within 12 pixels of soft alpha.

    Alpha and straight colour together, as the eye sees them: where both are off, one can make up for the
    other, or add to it.

    Args:
        alpha: What was made.
        foreground: Straight RGB that was made, float in [0, 1], ``(height, width, 3)``.
        truth: The true alpha.
        true_foreground: Likewise.
    """
    check_alike(foreground, true_foreground)
    check_alike(foreground[..., 0], alpha)
    check_alike(alpha, truth)
    region = near_soft_alpha(truth)
    made, true = alpha[region][:, None], truth[region][:, None]
    light = made * foreground[region] - true * true_foreground[region]
    if not light.size:
        return math.nan
    return float(np.mean([np.abs(light + (true - made) * backdrop).mean() for backdrop in (0.0, 0.5, 1.0)]))


def foreground_mse(
    foreground: npt.NDArray[np.floating[Any]],
    truth: npt.NDArray[np.floating[Any]],
    alpha: Alpha,
    region: Region | None = None,
) -> float:
    """Mean squared difference of straight colour, over the three channels, where there is a subject.

    Only pixels count whose *true* alpha is above 0 (and which lie in the region): colour means nothing
    elsewhere. This is RVM's definition (Lin et al., WACV 2022); BGMv2's script sums over the same pixels but
    divides by all pixels of its region.

    Args:
        foreground: Float RGB in [0, 1], ``(height, width, 3)``.
        truth: Likewise.
        alpha: The true alpha.
        region: Where to look.
    """
    check_alike(foreground, truth, region)
    check_alike(foreground[..., 0], alpha)
    seen = alpha > 0
    return _mean(np.square(foreground - truth), seen if region is None else seen & region)


def _mean(values: npt.NDArray[Any], region: Region | None) -> float:
    chosen = values if region is None else values[region]
    return float(chosen.mean(dtype=np.float64)) if chosen.size else math.nan

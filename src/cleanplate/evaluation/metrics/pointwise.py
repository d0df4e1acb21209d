"""Differences pixel by pixel: MAD, MSE, SAD, foreground colour, errors inside and outside of the subject."""

from __future__ import annotations

import math

import numpy as np

from cleanplate.evaluation.metrics.soft_regions import check_alike, near_soft_alpha
from cleanplate.frame import AnyArray, BoolArray, FloatArray

NOTHING, WHOLE = 0.004, 0.98
"""Limits of true alpha: background below the first (one step of 8 bits), subject above the second."""


def mad(alpha: FloatArray, truth: FloatArray, region: BoolArray | None = None) -> float:
    """Compute the mean absolute difference, in units of alpha."""
    check_alike(alpha, truth, region)
    return _mean(np.abs(alpha - truth), region)


def mse(alpha: FloatArray, truth: FloatArray, region: BoolArray | None = None) -> float:
    """Compute the mean squared difference, in units of alpha squared."""
    check_alike(alpha, truth, region)
    return _mean(np.square(alpha - truth), region)


def sad(alpha: FloatArray, truth: FloatArray, region: BoolArray | None = None) -> float:
    """Compute the sum of absolute differences in thousands (Xu et al., Deep Image Matting, CVPR 2017)."""
    check_alike(alpha, truth, region)
    made = np.abs(alpha - truth)
    return float((made if region is None else made[region]).sum(dtype=np.float64)) / 1000


def leak(alpha: FloatArray, truth: FloatArray) -> float:
    """Compute the mean excess of alpha in the background (truth below 0.004): remains of the set."""
    check_alike(alpha, truth)
    return _mean(np.maximum(alpha - truth, 0), truth < NOTHING)


def holes(alpha: FloatArray, truth: FloatArray) -> float:
    """Compute the mean missing alpha inside of the subject (truth above 0.98)."""
    check_alike(alpha, truth)
    return _mean(np.maximum(truth - alpha, 0), truth > WHOLE)


def edge_mad(alpha: FloatArray, truth: FloatArray) -> float:
    """Compute MAD within 12 pixels of soft alpha; see :func:`near_soft_alpha`."""
    return mad(alpha, truth, near_soft_alpha(truth))


def recomposition_error(
    alpha: FloatArray,
    foreground: FloatArray,
    truth: FloatArray,
    true_foreground: FloatArray,
) -> float:
    """Compute the mean absolute difference of the composites over black, mid-grey and white near soft alpha.

    Measures alpha and straight colour together, within 12 pixels of soft alpha: errors can cancel or add.

    Args:
        alpha: Alpha of the matte.
        foreground: Straight RGB of the matte, float in [0, 1], ``(height, width, 3)``.
        truth: The true alpha.
        true_foreground: The true straight RGB, like ``foreground``.
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
    foreground: FloatArray,
    truth: FloatArray,
    alpha: FloatArray,
    region: BoolArray | None = None,
) -> float:
    """Compute the mean squared difference of straight colour over the three channels, where alpha is above 0.

    Only pixels of the region with a *true* alpha above 0 count: elsewhere colour is undefined. This is RVM's
    definition (Lin et al., WACV 2022); BGMv2's script sums over the same pixels but divides by all pixels of
    its region.

    Args:
        foreground: Float RGB in [0, 1], ``(height, width, 3)``.
        truth: True foreground, of the same shape.
        alpha: The true alpha.
        region: Region of the metric; None: the whole picture.
    """
    check_alike(foreground, truth, region)
    check_alike(foreground[..., 0], alpha)
    seen = alpha > 0
    return _mean(np.square(foreground - truth), seen if region is None else seen & region)


def _mean(values: AnyArray, region: BoolArray | None) -> float:
    chosen = values if region is None else values[region]
    return float(chosen.mean(dtype=np.float64)) if chosen.size else math.nan

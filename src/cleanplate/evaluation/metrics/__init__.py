"""Metrics of mattes against the truth, as defined in the literature: pure functions over NumPy arrays.

Alpha is float ``(height, width)`` in [0, 1]. A ``region`` is a bool mask of the same shape; None is the whole
picture. Means are in units of alpha (tables show them times 1000), sums over pixels are in thousands. A
metric over an empty region is NaN.
"""

from cleanplate.evaluation.metrics.flicker import dtssd
from cleanplate.evaluation.metrics.gradient_connectivity import connectivity_error, gradient_error
from cleanplate.evaluation.metrics.pointwise import (
    edge_mad,
    foreground_mse,
    holes,
    leak,
    mad,
    mse,
    recomposition_error,
    sad,
)
from cleanplate.evaluation.metrics.soft_regions import UNKNOWN, near_soft_alpha, trimap_of

__all__ = [
    "UNKNOWN",
    "connectivity_error",
    "dtssd",
    "edge_mad",
    "foreground_mse",
    "gradient_error",
    "holes",
    "leak",
    "mad",
    "mse",
    "near_soft_alpha",
    "recomposition_error",
    "sad",
    "trimap_of",
]

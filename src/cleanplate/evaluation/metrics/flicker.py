"""Metrics of clips: flicker."""

from __future__ import annotations

import math

import numpy as np

from cleanplate.evaluation.metrics.soft_regions import check_alike
from cleanplate.frame import BoolArray, FloatArray


def dtssd(
    alpha: FloatArray,
    alpha_before: FloatArray,
    truth: FloatArray,
    truth_before: FloatArray,
    region: BoolArray | None = None,
) -> float:
    """Compute dtSSD: root mean square difference between the changes of alpha and truth from frame to frame.

    Erofeev, Gitman, Vatolin, Fedorov, Wang: Perceptually Motivated Benchmark for Video Matting, BMVC 2015.
    A clip's value is the mean over its pairs of frames; tables show it times 100. (RVM's script divides by
    the number of frames instead, which is one more.)
    """
    for other in (alpha_before, truth, truth_before):
        check_alike(alpha, other, region)
    made = np.square((alpha - alpha_before) - (truth - truth_before))
    chosen = made if region is None else made[region]
    return math.sqrt(chosen.mean(dtype=np.float64)) if chosen.size else math.nan

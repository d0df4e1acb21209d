"""Two metrics fitted to human perception: gradient and connectivity.

Rhemann, Rother, Wang, Gelautz, Kohli, Rott: A Perceptually Motivated Online Benchmark for Image Matting,
CVPR 2009; with the constants that the literature settled on since Xu et al., Deep Image Matting, CVPR 2017.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from cleanplate.evaluation.metrics.soft_regions import check_alike
from cleanplate.frame import AnyArray, BoolArray, FloatArray

SIGMA = 1.4
_TAIL = 0.01  # the kernel is cut where the Gaussian falls below this

STEPS = 10
"""Levels of connectivity: 0.1, 0.2 ... 1."""

THETA = 0.15
"""Difference of alpha above the connected level that is still ignored."""


def gradient_error(alpha: FloatArray, truth: FloatArray, region: BoolArray | None = None) -> float:
    """Compute the sum of squared differences of gradient magnitudes, in thousands.

    Gradients are of a Gaussian with sigma 1.4, from kernels of 9 x 9 whose squares sum to 1; beyond the
    picture its edge is repeated. The scripts of BGMv2 and of RVM's small tables first stretch either alpha to
    [0, 1]; that changes nothing for mattes that reach both 0 and 1, and is left out as in RVM's large tables.
    """
    check_alike(alpha, truth, region)
    made = np.square(_gradient_magnitude(alpha) - _gradient_magnitude(truth))
    return float((made if region is None else made[region]).sum(dtype=np.float64)) / 1000


def connectivity_error(alpha: FloatArray, truth: FloatArray, region: BoolArray | None = None) -> float:
    """Compute the sum of differences in the pixels' connectivity to the subject, in thousands.

    The subject at a level is the largest 4-connected part in which alpha and truth both reach it. A pixel is
    connected up to the level before the one at which it first leaves that part; alpha above that level (if at
    least 0.15) is floating. Components are computed on the whole picture, even if only a region counts.
    """
    check_alike(alpha, truth, region)
    common = np.minimum(alpha, truth)
    level = np.ones(alpha.shape, np.float32)
    connected = np.ones(alpha.shape, bool)
    for step in range(1, STEPS + 1):
        # In the truth's type, so that 0.6 as float32 reaches the level 0.6.
        body = _largest_part(common >= common.dtype.type(step / STEPS))
        level[connected & ~body] = (step - 1) / STEPS
        connected &= body
    made = np.abs(_floating(alpha, level) - _floating(truth, level))
    return float((made if region is None else made[region]).sum(dtype=np.float64)) / 1000


def _gradient_magnitude(alpha: FloatArray) -> AnyArray:
    reach = math.ceil(SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * SIGMA * _TAIL)))
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    smooth = np.exp(-(x**2) / (2 * SIGMA**2))
    slope = -x * smooth
    smooth, slope = (kernel / np.linalg.norm(kernel) for kernel in (smooth, slope))
    across, down = (
        cv2.sepFilter2D(alpha, cv2.CV_32F, *kernels, borderType=cv2.BORDER_REPLICATE)
        for kernels in ((slope, smooth), (smooth, slope))
    )
    # Not cv2.magnitude: its last bit depends on the address of the result, and scores with it.
    return np.asarray(np.sqrt(across * across + down * down))


def _largest_part(mask: BoolArray) -> BoolArray:
    """Find the largest 4-connected component; an empty mask of an empty one."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros(mask.shape, bool)
    return np.asarray(labels == 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA])))


def _floating(alpha: FloatArray, level: AnyArray) -> AnyArray:
    above = alpha - level
    return np.where(above >= THETA, above, 0)

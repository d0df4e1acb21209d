"""Detection of swapped red and blue: frames from OpenCV are BGR, loaded plates are RGB."""

from __future__ import annotations

import numpy as np

from cleanplate.frame import BoolArray, Float32Array
from cleanplate.plate.photometry.exposure import DARKEST
from cleanplate.plate.structure import Structure, correlate

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

REPEATED = 0.8
"""Correlation of detail from which both pictures show the same thing."""

LEAST_PIXELS = 500
"""Least pixels that show the same thing, for a verdict: the mean of their ratios is sure to a twentieth of
their spread."""

LEAST_RESIDUAL = 0.06
"""Least deviation of log ratios with channels in order that counts as swapped. The sample photo and its plate
leave 0.047, with red and blue swapped 0.134 to 0.145."""

BETTER = 0.5
"""Largest ratio of the deviation with swapped channels to it: 0.30 for the sample as BGR, 3.1 as RGB."""

SWAPPED_NOTE = (
    "Red and blue of plate and frame fit better swapped: one of them seems to be BGR. "
    "Convert frames of OpenCV by cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)."
)


def are_swapped(plate: Structure, frame: Structure, valid: BoolArray | None = None) -> bool:
    """Decide whether the colours agree much better with red and blue of one picture swapped.

    Args:
        plate: Structure of the registered plate, in its own light.
        frame: Structure of the frame, of the same size.
        valid: Mask of known pixels of the plate; None: all.
    """
    same = (correlate(plate.detail, frame.detail) > REPEATED) & (plate.colour.min(axis=2) > DARKEST)
    same &= frame.colour.min(axis=2) > DARKEST
    if valid is not None:
        same &= valid
    if np.count_nonzero(same) < LEAST_PIXELS:
        return False
    left, right = np.log(plate.colour[same]), np.log(frame.colour[same])
    plain = _measure_residual(left, right)
    return plain > LEAST_RESIDUAL and _measure_residual(left, right[:, ::-1]) < BETTER * plain


def _measure_residual(left: Float32Array, right: Float32Array) -> float:
    """Mean deviation of log ratios from each channel's median: a white balance leaves none."""
    ratios = right - left
    return float(np.abs(ratios - np.median(ratios, axis=0)).mean())

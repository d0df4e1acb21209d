"""A classical difference keyer without learning, as a baseline for networks.

The plate is fitted as for a network (place and light). Then, as in classical difference matting (Qian and
Sezan, Video background replacement without a blue screen, ICIP 1999):

1. Distance of colour between source and plate, separately in luma and chroma: a shadow changes mostly luma.
2. The distance is divided by the expected deviation at each pixel: sensor noise, estimated from the picture,
and the change that a small misalignment of the plate's detail would cause. 3. Alpha rises from 0 to 1 between
two such distances. 4. Morphological opening and closing remove specks and fill gaps where the subject has the
plate's colour; a guided filter (He, Sun, Tang, ECCV 2010) makes alpha follow the source's edges. 5. The
foreground colour is solved from the compositing equation.

The constants of :class:`Tuning` come from a random search (170 tries) and one round of changes of single
constants, minimising MAD over 40 cases of 1280x720 that :mod:`cleanplate.training.synthesis.synthesis` made
of the *training* part of the material (seed 90, usual faults), not looking at validation cases;
``docs/log.md`` has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cleanplate.frame import AnyArray, Float32Array, Frame, Matte, Pixels
from cleanplate.plate import FittedPlate, Plate, fit_plate, load_plate

# The tuning of this keyer is measured: docs/log.md, 2026-11-23.

HD_HEIGHT = 720
"""Height of the picture to which the lengths of :class:`Tuning` refer; they scale with the picture's size."""

_MAD_TO_DEVIATION = 1.4826
_LEAST_NOISE = 0.5 / 255


@dataclass(frozen=True)
class Tuning:
    """Tuned constants.

    Attributes:
        luma: Weight of the difference of luma relative to that of chroma.
        slack: Tolerated misalignment in pixels; its product with the plate's gradient is added to the noise.
        floor: Tolerated standard deviation in [0, 1] besides the noise, for uneven light.
        low, high: Distances, in standard deviations, at which alpha starts and is complete.
        smooth: Sigma of the blur of the differences, in pixels.
        speck: Radius of the opening, in pixels.
        gap: Radius of the closing, in pixels.
        radius: Radius of the guided filter, in pixels.
        edge: Variance of the source below which the guided filter smooths.
    """

    luma: float = 0.23
    slack: float = 2.8
    floor: float = 0.019
    low: float = 1.93
    high: float = 2.03
    smooth: float = 1.7
    speck: float = 3.0
    gap: float = 15.7
    radius: float = 1.7
    edge: float = 1.8e-4


class DifferenceKeyer:
    """Keyer for frames that share a plate, with the interface of :class:`cleanplate.Keyer`.

    Args:
        plate: Path or pixels of the clean plate, or a fitted plate.
        align: Whether the plate is registered to the first frame.
        tuning: Constants that replace the tuned ones.

    Raises:
        InputError: The plate cannot be read.
    """

    def __init__(
        self,
        plate: str | Path | Pixels | Plate | FittedPlate,
        *,
        align: bool = True,
        tuning: Tuning | None = None,
    ) -> None:
        self._plate = plate if isinstance(plate, FittedPlate) else load_plate(plate)
        self._align = align
        self._tuning = tuning or Tuning()

    def __call__(self, frame: Frame | Pixels) -> Matte:
        """Key one frame; the plate is fitted to the first and kept for the others.

        Raises:
            PlateError: The plate cannot serve this frame.
        """
        frame = frame if isinstance(frame, Frame) else Frame(frame)
        if not isinstance(self._plate, FittedPlate):
            self._plate = fit_plate(self._plate, frame, align=self._align)
        source, plate = to_unit(frame.pixels), to_unit(self._plate.pixels)
        alpha = find_alpha(source, plate, self._tuning)
        if self._plate.valid is not None:
            alpha[~self._plate.valid] = 0  # unknown plate; an empty matte does the least harm
        foreground = unmix(source, plate, alpha)
        top = np.iinfo(frame.pixels.dtype).max
        return Matte(alpha, np.rint(foreground * top).astype(frame.pixels.dtype), frame)


def find_alpha(source: AnyArray, plate: AnyArray, tuning: Tuning) -> Float32Array:
    """Compute alpha (steps 1 to 4) from registered float32 RGB ``(height, width, 3)`` in [0, 1]."""
    pixel = max(source.shape[0] / HD_HEIGHT, 0.25)
    weights = np.array([tuning.luma, 1.0, 1.0], np.float32)
    difference = (_to_opponents(source) - _to_opponents(plate)) * weights
    noise = estimate_noise(difference)
    if tuning.smooth:
        difference = np.asarray(cv2.GaussianBlur(difference, (0, 0), tuning.smooth * pixel), np.float32)
    detail = cv2.GaussianBlur(_gradient(_to_opponents(plate)[..., 0]), (0, 0), 1.5 * pixel)
    forgiven = np.square(tuning.luma * tuning.slack * pixel * detail) + tuning.floor**2 + noise**2
    distance = np.sqrt(np.square(difference).sum(axis=2) / forgiven)
    alpha = np.clip((distance - tuning.low) / (tuning.high - tuning.low), 0, 1).astype(np.float32)
    alpha = _morph(alpha, cv2.MORPH_OPEN, round(tuning.speck * pixel))
    alpha = _morph(alpha, cv2.MORPH_CLOSE, round(tuning.gap * pixel))
    guide = cv2.cvtColor(source, cv2.COLOR_RGB2GRAY)
    filtered = guided_filter(np.asarray(guide), alpha, max(1, round(tuning.radius * pixel)), tuning.edge)
    return np.asarray(np.clip(filtered, 0, 1), np.float32)


def estimate_noise(difference: AnyArray) -> float:
    """Estimate the standard deviation of sensor noise in a difference ``(height, width, channels)``.

    It is the median of differences of horizontal neighbours; edges and the subject are outliers.
    """
    steps = np.abs(np.diff(difference, axis=1))
    per_channel = _MAD_TO_DEVIATION * np.median(steps.reshape(-1, steps.shape[2]), axis=0) / np.sqrt(2)
    return max(float(np.sqrt(np.mean(np.square(per_channel)))), _LEAST_NOISE)


def unmix(source: AnyArray, plate: AnyArray, alpha: AnyArray) -> AnyArray:
    """Solve the compositing equation for the straight foreground, clipped to [0, 1].

    Where alpha is small the quotient is mostly noise; the source's colour is used there.
    """
    alpha = alpha[..., None]
    pure = np.clip((source - (1 - alpha) * plate) / np.maximum(alpha, 0.05), 0, 1)
    trust = np.clip(alpha * 4, 0, 1)
    return np.asarray(trust * pure + (1 - trust) * source, np.float32)


def guided_filter(guide: AnyArray, picture: AnyArray, radius: int, epsilon: float) -> AnyArray:
    """Smooth ``picture`` except at edges of ``guide``, both float32 ``(height, width)``.

    He, Sun, Tang: Guided Image Filtering, ECCV 2010; windows of ``2 * radius + 1``.
    """

    def mean(x: AnyArray) -> AnyArray:
        return np.asarray(cv2.blur(x, (2 * radius + 1, 2 * radius + 1)))

    guide_mean, picture_mean = mean(guide), mean(picture)
    variance = mean(guide * guide) - guide_mean * guide_mean
    slope = (mean(guide * picture) - guide_mean * picture_mean) / (variance + epsilon)
    return np.asarray(mean(slope) * guide + mean(picture_mean - slope * guide_mean))


def _morph(alpha: Float32Array, what: int, radius: int) -> Float32Array:
    if radius < 1:
        return alpha
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.morphologyEx(alpha, what, disc), np.float32)


def _to_opponents(pixels: AnyArray) -> AnyArray:
    """Convert to luma and two colour differences (BT.601), float32; the differences are 0 for greys."""
    opponents = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.float32)
    opponents[..., 1:] -= 0.5
    return opponents


def _gradient(luma: AnyArray) -> AnyArray:
    across, down = (cv2.Scharr(luma, cv2.CV_32F, *order, scale=1 / 32) for order in ((1, 0), (0, 1)))
    # Not cv2.magnitude: its last bit depends on the address of the result.
    return np.asarray(np.sqrt(across * across + down * down), np.float32)


def to_unit(pixels: Pixels) -> Float32Array:
    """Convert code values to float32 in [0, 1]."""
    return np.asarray(np.multiply(pixels, np.float32(1 / np.iinfo(pixels.dtype).max), dtype=np.float32))

"""The peer that every network has to beat: the best keyer that one would build from a plate without learning.

The plate is fitted as for a network (place and light). Then, as in classical difference matting (Qian and
Sezan, Video background replacement without a blue screen, ICIP 1999):

1. Distance of colour between source and plate, luma and chroma apart: a shadow changes luma most.
2. The distance is measured in units of what chance explains at each pixel: sensor noise, estimated from the
   picture itself, and detail of the plate that a small misalignment would move.
3. Alpha rises from 0 to 1 between two such distances.
4. Morphological opening and closing take specks out and fill gaps where the subject's colour meets the
   plate's; a guided filter (He, Sun, Tang, ECCV 2010) makes alpha follow the source's edges.
5. Foreground colour is what the compositing equation leaves when the plate's share is taken out.

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

HD_HEIGHT = 720
"""Lengths of the tuning are pixels in a picture of this height, and follow the picture's size."""

_MAD_TO_DEVIATION = 1.4826
_LEAST_NOISE = 0.5 / 255


@dataclass(frozen=True)
class Tuning:
    """What was tuned.

    Attributes:
        luma: Weight of the difference of luma, relative to chroma's.
        slack: Misalignment that is forgiven, in pixels: times the plate's gradient it adds to the noise.
        floor: Standard deviation, of 1, that is forgiven besides the noise: light that is not quite even.
        low, high: Distances, in standard deviations, at which alpha starts and is complete.
        smooth: Sigma of the blur of the differences, in pixels.
        speck: Radius of the opening, in pixels.
        gap: Radius of the closing, in pixels.
        radius: Of the guided filter, in pixels.
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
    """Keys frames that share a plate, with the interface of :class:`cleanplate.Keyer`.

    Args:
        plate: Path or pixels of the clean plate, or one that is fitted already.
        align: Whether the plate may be moved to where the camera stands.
        tuning: Constants other than the tuned ones.

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
        source, plate = _to_unit(frame.pixels), _to_unit(self._plate.pixels)
        alpha = find_alpha(source, plate, self._tuning)
        if self._plate.valid is not None:
            alpha[~self._plate.valid] = 0  # nothing is known there; an empty matte does the least harm
        foreground = unmix(source, plate, alpha)
        top = np.iinfo(frame.pixels.dtype).max
        return Matte(alpha, np.rint(foreground * top).astype(frame.pixels.dtype), frame)


def find_alpha(source: AnyArray, plate: AnyArray, tuning: Tuning) -> Float32Array:
    """Steps 1 to 4, on float32 RGB ``(height, width, 3)`` in [0, 1] that lie on each other."""
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
    """Standard deviation of sensor noise in ``(height, width, channels)``, which is mostly background or not.

    From differences of horizontal neighbours: edges and the subject are outliers to the median.
    """
    steps = np.abs(np.diff(difference, axis=1))
    per_channel = _MAD_TO_DEVIATION * np.median(steps.reshape(-1, steps.shape[2]), axis=0) / np.sqrt(2)
    return max(float(np.sqrt(np.mean(np.square(per_channel)))), _LEAST_NOISE)


def unmix(source: AnyArray, plate: AnyArray, alpha: AnyArray) -> AnyArray:
    """Straight foreground: the source less the plate's share, over alpha, within [0, 1].

    Where alpha is small the quotient is mostly noise; there the source's own colour takes over.
    """
    alpha = alpha[..., None]
    pure = np.clip((source - (1 - alpha) * plate) / np.maximum(alpha, 0.05), 0, 1)
    trust = np.clip(alpha * 4, 0, 1)
    return np.asarray(trust * pure + (1 - trust) * source, np.float32)


def guided_filter(guide: AnyArray, picture: AnyArray, radius: int, epsilon: float) -> AnyArray:
    """Smooth ``picture`` but for the edges of ``guide``, both float32 ``(height, width)``.

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
    """Luma and two differences of colour (BT.601), float32, around 0 for greys."""
    opponents = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.float32)
    opponents[..., 1:] -= 0.5
    return opponents


def _gradient(luma: AnyArray) -> AnyArray:
    return np.asarray(
        cv2.magnitude(cv2.Scharr(luma, cv2.CV_32F, 1, 0) / 32, cv2.Scharr(luma, cv2.CV_32F, 0, 1) / 32)
    )


def _to_unit(pixels: Pixels) -> AnyArray:
    return np.asarray(np.multiply(pixels, np.float32(1 / np.iinfo(pixels.dtype).max), dtype=np.float32))

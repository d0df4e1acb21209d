"""Gain of the frame's light over the plate's, for each channel.

A factor per channel on gamma-encoded values: where the camera's curve is a power, a change of light is
exactly that. It is the mode of log(frame / plate) over the picture. The subject is an outlier, but may cover
half of the picture in one colour. So pixels are weighted by the certainty that both pictures show the same
thing, and of two equally good modes the one nearer to 1 is chosen.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import AnyArray, BoolArray, Float32Array, Pixels
from cleanplate.plate.structure import Structure, correlate

Gain = npt.NDArray[np.float64]
"""float64 ``(3,)``, one factor for each of red, green and blue."""

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

DARKEST, BRIGHTEST = 0.06, 0.97
"""Values, of 1, between which a channel is neither clipped nor dominated by noise."""

LARGEST_STOPS = 3.0
"""Largest change of light that is accepted: eight times the light, beyond which 8 bits are mostly clipped or
noise."""

LARGEST_TINT = 0.5
"""Largest difference in log ratio of a channel from the others' mean: a lamp's colour, not another wall."""

ENCODING_GAMMA = 2.2
"""Exponent from ratios of encoded values to ratios of light: sRGB's curve is close to it."""

VOTERS = 8_000
"""Largest number of pixels that vote; more give the same result."""

LEAST_VOTERS = 200
"""Least votes for a measurement: the median of so many is sure to a tenth of their spread."""

MAJORITY = 0.6
"""Share of the votes from which no other mode is searched."""

LEAST_CHANNEL_SHARE = 0.1
"""Votes that a channel needs, of those of the best one, to be measured by itself."""

FIRST_REACH, LAST_REACH = 0.25, 0.06
"""Distance in log ratio at which a pixel's weight is 0, in the first and in the last round."""

CHANGE_PENALTY = 0.35
"""Loss of a mode's votes per stop of change."""

LEAST_IMPROVEMENT = 0.03
"""Least relative reduction of the difference by a gain."""

LARGEST_DIFFERENCE = 0.12
"""Difference of colour from which a pixel counts as the subject's."""

NEGLIGIBLE = 0.004
"""Change of log ratio that is below one step of 8 bits."""


def estimate_gain(plate: Structure, frame: Structure, valid: BoolArray | None = None) -> Gain:
    """Find the factors with ``plate * gain ~ frame`` on pixels that both pictures show.

    Args:
        plate: Structure of the registered plate.
        frame: Structure of the frame, of the same size.
        valid: Where the plate shows anything; None: everywhere.

    Returns:
        The gain; exactly 1 if none could be measured, or none makes the plate fit better.
    """
    weights = weigh_sameness(plate, frame)
    if valid is not None:
        weights = weights * valid
    ratios, usable, weights = _collect_votes(plate.colour, frame.colour, weights)
    if len(weights) < LEAST_VOTERS:
        return np.ones(3)
    best = _settle(np.zeros(3), ratios, usable, weights)
    votes = _count_votes(best, ratios, usable, weights)
    if votes < MAJORITY * float(weights.sum()):
        for start in _find_peaks(ratios, usable, weights):
            rival = _settle(np.full(3, start), ratios, usable, weights)
            rival_votes = _count_votes(rival, ratios, usable, weights)
            if rival_votes > votes:
                best, votes = rival, rival_votes
    if np.max(np.abs(best)) < NEGLIGIBLE or not _is_plausible(best):
        return np.ones(3)
    gain = np.exp(best)
    before, after = (
        _difference(plate.colour * np.float32(factor), frame.colour, valid) for factor in (np.ones(3), gain)
    )
    return gain if after < (1 - LEAST_IMPROVEMENT) * before else np.ones(3)


def gain_stops(gain: Gain) -> float:
    """The change of light in photographic stops; positive: the frame is brighter than the plate."""
    luminance = float(np.dot(gain, (0.2126, 0.7152, 0.0722)))
    return ENCODING_GAMMA * math.log2(luminance)


def apply_gain(pixels: Pixels, gain: Gain) -> Pixels:
    """Multiply each channel, rounded and clipped to the type; the same array for a gain of exactly 1."""
    if np.all(gain == 1.0):
        return pixels
    top = np.iinfo(pixels.dtype).max
    if pixels.dtype == np.uint8:
        steps = np.arange(top + 1, dtype=np.float64)[:, None] * gain
        table = np.clip(np.rint(steps), 0, top).astype(np.uint8)
        return np.asarray(cv2.LUT(pixels, table[None]))
    scaled = np.rint(pixels * gain.astype(np.float32))
    return np.asarray(np.clip(scaled, 0, top), dtype=pixels.dtype)


def weigh_sameness(plate: Structure, frame: Structure) -> Float32Array:
    """Weigh each pixel by the certainty that it shows the same thing in both pictures, in (0, 1].

    Detail that agrees has a high weight, detail in one picture only a low one, no detail a medium one.
    """
    agreement = np.clip(correlate(plate.detail, frame.detail), 0.0, 1.0)
    plain = np.float32(0.15)
    weights = np.where(plate.textured | frame.textured, 0.02 + agreement**3, plain)
    return np.asarray(weights, dtype=np.float32)


def _collect_votes(
    plate: Float32Array, frame: Float32Array, weights: Float32Array
) -> tuple[AnyArray, BoolArray, AnyArray]:
    """Log ratios ``(n, 3)``, which of them are of unclipped values ``(n, 3)``, and weights ``(n,)``."""
    step = max(1, round(math.sqrt(weights.size / VOTERS)))
    plate, frame = plate[::step, ::step].reshape(-1, 3), frame[::step, ::step].reshape(-1, 3)
    weights = weights[::step, ::step].ravel()
    usable = (plate > DARKEST) & (plate < BRIGHTEST) & (frame > DARKEST) & (frame < BRIGHTEST)
    voting = usable.any(axis=1) & (weights > 0)
    floor = np.float32(1e-4)
    ratios = np.log(np.maximum(frame[voting], floor) / np.maximum(plate[voting], floor))
    return ratios.astype(np.float64), usable[voting], weights[voting].astype(np.float64)


def _find_peaks(ratios: AnyArray, usable: BoolArray, weights: AnyArray, count: int = 5) -> list[float]:
    """The highest separate peaks of the histogram of all channels' log ratios."""
    limit = LARGEST_STOPS / ENCODING_GAMMA * math.log(2) + 0.2
    bins = int(2 * limit / 0.04)
    shares = weights[:, None] * usable
    histogram, edges = np.histogram(ratios, bins=bins, range=(-limit, limit), weights=shares)
    histogram = np.convolve(histogram, (0.25, 0.5, 0.25), mode="same")
    peaks: list[float] = []
    for index in np.argsort(histogram)[::-1]:
        value = float(edges[index] + edges[index + 1]) / 2
        if all(abs(value - peak) > 0.12 for peak in peaks):
            peaks.append(value)
        if len(peaks) == count:
            break
    return peaks


def _influence(mode: AnyArray, ratios: AnyArray, usable: BoolArray, reach: float) -> AnyArray:
    """Tukey's biweight of each pixel's distance from the mode, over its usable channels."""
    squares = np.where(usable, (ratios - mode) ** 2, 0.0).sum(axis=1) / usable.sum(axis=1)
    return np.asarray(np.clip(1.0 - squares / reach**2, 0.0, None) ** 2)


def _settle(mode: AnyArray, ratios: AnyArray, usable: BoolArray, weights: AnyArray) -> AnyArray:
    """Climb to the nearest mode while the reach shrinks."""
    for reach in np.geomspace(FIRST_REACH, LAST_REACH, 8):
        shares = (weights * _influence(mode, ratios, usable, float(reach)))[:, None] * usable
        total = shares.sum(axis=0)
        known = total > LEAST_CHANNEL_SHARE * total.max()
        if not known.any():
            break
        moved = np.where(known, (shares * ratios).sum(axis=0) / np.maximum(total, 1e-12), 0.0)
        # A channel that is dark or clipped everywhere follows the others.
        mode = np.where(known, moved, moved[known].mean())
    return mode


def _is_plausible(mode: AnyArray) -> bool:
    tint = float(np.max(np.abs(mode - mode.mean())))
    return abs(gain_stops(np.exp(mode))) <= LARGEST_STOPS and tint <= LARGEST_TINT


def _count_votes(mode: AnyArray, ratios: AnyArray, usable: BoolArray, weights: AnyArray) -> float:
    stops = ENCODING_GAMMA * float(np.max(np.abs(mode))) / math.log(2)
    votes = float(np.sum(weights * _influence(mode, ratios, usable, 2 * LAST_REACH)))
    return votes * math.exp(-CHANGE_PENALTY * stops)


def _difference(plate: Float32Array, frame: Float32Array, valid: BoolArray | None) -> float:
    """Mean clipped difference over the picture and its channels."""
    differences = np.minimum(np.abs(np.minimum(plate, 1.0) - frame), LARGEST_DIFFERENCE)
    return float(np.mean(differences if valid is None else differences[valid]))

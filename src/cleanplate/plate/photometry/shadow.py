"""Shadow: the share of the plate's light that the subject takes, measured where the background shows.

A shadow multiplies the background by less than 1, and gamma-encoded values too where the camera's curve is a
power. The factor comes from a local least-squares fit of frame on plate, each pixel weighted by the certainty
that it is background: dark pixels with noisy ratios have little weight, and under the subject the factor is
interpolated from its surroundings, so that soft edges get no halo.
"""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.frame import Float32Array, Pixels
from cleanplate.plate.structure import reduce_picture, reduced_size

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

MEASURE_SIDE = 640
"""Longest side of the copies for measuring shadows."""

SIGMAS = (1.2, 4.0, 16.0)
"""Sigmas of smoothing, in pixels of those copies: the first for visible background, wider ones for hidden."""

TRACE = 0.03
"""Weight of the next wider smoothing, as a share of a pixel that shows background."""

CONTACT = 5
"""Width, in pixels of those copies, by which alpha is dilated: its rim mixes subject and background."""

SURENESS = 4
"""Power of 1 - alpha by which a pixel counts: at half alpha a sixteenth."""

BRIGHTEST = 0.98
"""Value from which a pixel is clipped and its loss of light unknown: 250 of 255."""

LARGEST_MISMATCH = 0.25
"""Largest relative error of exposure of the lit background that is corrected."""

NOISE_FLOOR = 0.015
"""Least loss of light that counts as shadow: 1.5% of the light is a code value at mid grey."""

NOISE_FACTOR = 3.0
"""Standard deviations of the lit background's noise from which a loss counts as shadow."""

CODE_FLOOR = 1.5 / 255
"""Least loss in values that counts as shadow. Compression and the residue of the exposure's curve are of this
size: on the dark wood of the sample clip they were 3 to 9% of the light."""

DARKEST = 0.0004
"""Energy (square of a value of 1) per pixel below which the factor is not measured."""


def measure_shadow(frame: Pixels, plate: Pixels, alpha: Float32Array) -> Float32Array:
    """Find the share of light that is missing from the background.

    Args:
        frame: uint8 or uint16 RGB, ``(height, width, 3)``.
        plate: The plate as fitted to the frame: same shape and type.
        alpha: The subject's, float32 in [0, 1], ``(height, width)``.

    Returns:
        float32 ``(height, width)`` in [0, 1]: 0 where the background has the plate's light, 1 where it has
        none. It is continued smoothly under the subject.
    """
    height, width = alpha.shape
    small_height, small_width = reduced_size(height, width, MEASURE_SIDE)
    hidden = np.asarray(cv2.resize(alpha, (small_width, small_height), interpolation=cv2.INTER_AREA))
    clear = np.asarray(1 - cv2.dilate(hidden, np.ones((CONTACT, CONTACT), np.uint8)), dtype=np.float32)
    small_plate = reduce_picture(plate, MEASURE_SIDE)
    factor, known = _fit_factor(reduce_picture(frame, MEASURE_SIDE), small_plate, clear)
    lit, noise = _lit_level(factor, known * (clear > 0.99))
    # A strand that alpha has missed is thinner than any shadow.
    loss = cv2.medianBlur(1 - factor / np.float32(lit), 5)
    # A threshold with a soft foot: a sure shadow keeps its whole depth.
    brightness = cv2.GaussianBlur(small_plate.max(axis=2), (0, 0), SIGMAS[1])
    least = np.maximum(
        CODE_FLOOR / np.maximum(brightness, CODE_FLOOR), max(NOISE_FLOOR, NOISE_FACTOR * noise)
    )
    foot = np.clip((loss - least) / least, 0, 1)
    loss = np.clip(loss, 0, 1) * (foot * foot * (3 - 2 * foot))
    shadow = np.asarray(cv2.resize(loss, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return np.clip(shadow, 0, 1, out=shadow)


def _fit_factor(
    frame: Float32Array, plate: Float32Array, clear: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """The factor with ``plate * factor ~ frame`` around each pixel, and how well it is known, 0 to 1."""
    weights = clear**SURENESS * (plate.max(axis=2) < BRIGHTEST)
    products = weights * np.sum(frame * plate, axis=2)
    energies = weights * np.sum(plate * plate, axis=2)
    known = cv2.GaussianBlur(weights.astype(np.float32), (0, 0), SIGMAS[0])
    # From wide to fine: each scale is used where it has seen background, else the wider one; where not
    # even the widest has light to measure, the factor is 1.
    factor: Float32Array = np.ones(clear.shape, np.float32)
    for sigma in reversed(SIGMAS):
        product, energy, weight = (
            np.asarray(cv2.GaussianBlur(each, (0, 0), sigma), dtype=np.float32)
            for each in (products, energies, weights.astype(np.float32))
        )
        trace = TRACE * energy / np.maximum(weight, 0.01) + DARKEST
        factor = ((product + trace * factor) / (energy + trace)).astype(np.float32)
    return factor, np.asarray(known, dtype=np.float32)


def _lit_level(factor: Float32Array, weights: Float32Array) -> tuple[float, float]:
    """The factor of background out of the shadow, near 1, and the noise around it (standard deviation).

    It is the most frequent factor among the plausible ones; the noise is read off those above it, because
    below it there may be shadow.
    """
    edges = np.linspace(1 - LARGEST_MISMATCH, 1 + LARGEST_MISMATCH, 101)
    votes, _ = np.histogram(factor, bins=edges, weights=weights)
    if votes.sum() <= 0:
        return 1.0, 0.0
    votes = np.convolve(votes, np.hanning(7), mode="same")
    peak = int(votes.argmax())
    lit = float((edges[peak] + edges[peak + 1]) / 2)
    near = (np.abs(factor - lit) < 0.03) & (weights > 0.5)
    if near.any():
        lit = float(np.median(factor[near]))
    above = (factor > lit) & (factor < 1 + LARGEST_MISMATCH) & (weights > 0.5)
    noise = float(np.median(factor[above] - lit)) / 0.6745 if above.any() else 0.0
    return lit, noise

"""Differences of light beyond a gain: gamma and vignetting.

On logarithms both are linear: a gamma is proportional to the plate's own logarithm, vignetting to even powers
of the distance from the middle (the first terms of the usual polynomial, Goldman, PAMI 2010). They are found
by least squares with Tukey's weights on pixels that both pictures show, and kept only if they hold in
held-out blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cleanplate.frame import AnyArray, BoolArray, Float32Array, Pixels
from cleanplate.plate.photometry.exposure import (
    BRIGHTEST,
    DARKEST,
    LARGEST_DIFFERENCE,
    Gain,
    apply_gain,
    gain_stops,
    weigh_sameness,
)
from cleanplate.plate.structure import Structure

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

STEP = 3
"""Step, in pixels of the reduced copies, of the sampled grid: light is smooth, and a ninth of the pixels has
it."""

BLOCK = 8
"""Side, in samples, of the blocks that are held out in turn."""

REACH = 0.15
"""Distance in log ratio from which a pixel is the subject's."""

LEAST_IMPROVEMENT = 0.04
"""Least relative reduction of the difference in held-out blocks."""

LEAST_SHARE = 0.15
"""Least share of pixels in the fit."""

MID_GREY = 0.46
"""18% of the light, encoded."""

LARGEST_BEND = 0.35
"""Largest distance of an accepted gamma from 1: between the curves of two cameras, and no other."""

LARGEST_FALL = 0.6
"""Largest accepted vignetting, in log ratio at the corners: 1.9 stops in light, more than open lenses
have."""


@dataclass(frozen=True)
class Shading:
    """Map of an encoded value in [0, 1]: ``gain * value**gamma * exp(a * r**2 + b * r**4)``.

    Attributes:
        gain: float64 ``(3,)``: factors on red, green and blue.
        gamma: Gamma of all channels.
        vignetting: ``(a, b)``; r is the distance from the middle, 1 in the corners.
    """

    gain: Gain
    gamma: float = 1.0
    vignetting: tuple[float, float] = (0.0, 0.0)

    @property
    def stops(self) -> float:
        """The change of light on a mid grey."""
        return gain_stops(self.gain * MID_GREY ** (self.gamma - 1))

    @property
    def corner(self) -> float:
        """The factor of vignetting on the corners: below 1, the frame's are darker than the plate's."""
        return float(np.exp(sum(self.vignetting)))

    def apply(self, pixels: Pixels) -> Pixels:
        """Shade uint8 or uint16 RGB, rounded and clipped; the same array if there is nothing to do."""
        if self.gamma == 1.0 and self.vignetting == (0.0, 0.0):
            return apply_gain(pixels, self.gain)
        top = np.iinfo(pixels.dtype).max
        values = np.arange(top + 1, dtype=np.float64) / top
        table = (top * np.power(values, self.gamma)[:, None] * self.gain).astype(np.float32)
        bent = np.stack([table[:, channel][pixels[..., channel]] for channel in range(3)], axis=2)
        if self.vignetting != (0.0, 0.0):
            square = _square_radius(*pixels.shape[:2])
            a, b = (np.float32(factor) for factor in self.vignetting)
            bent *= np.exp(square * (a + b * square))[..., None]
        return np.asarray(np.clip(np.rint(bent), 0, top), dtype=pixels.dtype)


def find_shading(plate: Structure, frame: Structure, gain: Gain, valid: BoolArray | None = None) -> Shading:
    """Find gamma and vignetting beyond a gain.

    Args:
        plate: Structure of the registered plate, without the gain.
        frame: Structure of the frame, of the same size.
        gain: The gain from :func:`~cleanplate.plate.photometry.exposure.estimate_gain`.
        valid: Where the plate shows anything; None: everywhere.

    Returns:
        The gain alone if neither gamma nor vignetting could be measured.
    """
    plain = Shading(gain)
    votes = _Votes.collect(plate, frame, valid)
    if votes is None:
        return plain
    best, least = plain, votes.compare(plain)
    for terms in (("vignetting",), ("gamma",), ("gamma", "vignetting")):
        halves = [votes.solve(plain, terms, votes.black == colour) for colour in (True, False)]
        held_out = [
            None if shading is None else votes.compare(shading, votes.black != colour)
            for shading, colour in zip(halves, (True, False), strict=True)
        ]
        before = [votes.compare(best, votes.black != colour) for colour in (True, False)]
        if any(
            after is None or after > (1 - LEAST_IMPROVEMENT) * was
            for after, was in zip(held_out, before, strict=True)
        ):
            continue
        shading = votes.solve(plain, terms, np.ones_like(votes.black))
        if shading is not None and votes.compare(shading) < (1 - LEAST_IMPROVEMENT) * least:
            best, least = shading, votes.compare(shading)
    return best


@dataclass(frozen=True)
class _Votes:
    """Pixels that both pictures show: values ``(n, 3)``; weights, squared radius, colour of their block."""

    plate: Float32Array
    frame: Float32Array
    weights: Float32Array
    square: Float32Array
    black: BoolArray

    @classmethod
    def collect(cls, plate: Structure, frame: Structure, valid: BoolArray | None) -> _Votes | None:
        weights = weigh_sameness(plate, frame)
        if valid is not None:
            weights = weights * valid
        height, width = weights.shape
        rows, columns = np.mgrid[0:height:STEP, 0:width:STEP]
        taken = plate.colour[rows, columns], frame.colour[rows, columns]
        least = np.minimum(taken[0].min(axis=2), taken[1].min(axis=2))
        most = np.maximum(taken[0].max(axis=2), taken[1].max(axis=2))
        usable = (least > DARKEST) & (most < BRIGHTEST) & (weights[rows, columns] > 0.1)
        if np.mean(usable) < LEAST_SHARE:
            return None
        black = (rows // (STEP * BLOCK) + columns // (STEP * BLOCK)) % 2 == 0
        square = _square_radius(height, width)[rows, columns]
        return cls(
            taken[0][usable], taken[1][usable], weights[rows, columns][usable], square[usable], black[usable]
        )

    def solve(self, start: Shading, terms: Sequence[str], chosen: BoolArray) -> Shading | None:
        """Least squares from these pixels for the terms named, and the gain along."""
        logs = np.log(self.plate[chosen])
        ratios = np.log(self.frame[chosen]) - logs - np.log(start.gain)
        count = len(ratios)
        columns: list[AnyArray] = [np.tile(unit, (count, 1)) for unit in np.eye(3)]
        if "gamma" in terms:
            columns.append(logs)
        if "vignetting" in terms:
            square = np.repeat(self.square[chosen][:, None], 3, axis=1)
            columns += [square, square * square]
        design = np.stack(columns, axis=2).reshape(count * 3, -1).astype(np.float64)
        wanted = ratios.reshape(-1).astype(np.float64)
        known = np.repeat(self.weights[chosen], 3).astype(np.float64)
        solution = np.zeros(design.shape[1])
        for number in range(8):
            reach = REACH * max(1.0, 3.0 / 2**number)
            off = wanted - design @ solution
            weights = known * np.clip(1.0 - (off / reach) ** 2, 0.0, None) ** 2
            normal = (design * weights[:, None]).T @ design
            normal[np.diag_indices(len(normal))] += 1e-6 * np.trace(normal) + 1e-9
            solution = np.linalg.solve(normal, (design * weights[:, None]).T @ wanted)
        gamma = 1.0 + (solution[3] if "gamma" in terms else 0.0)
        fall = (float(solution[-2]), float(solution[-1])) if "vignetting" in terms else (0.0, 0.0)
        radii = np.linspace(0, 1, 9)
        along = fall[0] * radii**2 + fall[1] * radii**4
        if abs(gamma - 1) > LARGEST_BEND or np.abs(along).max() > LARGEST_FALL:
            return None
        return Shading(start.gain * np.exp(solution[:3]), float(gamma), fall)

    def compare(self, shading: Shading, chosen: BoolArray | None = None) -> float:
        """Weighted mean of the clipped difference to the frame."""
        pick = slice(None) if chosen is None else chosen
        square = self.square[pick]
        a, b = shading.vignetting
        shaded = shading.gain * np.power(self.plate[pick], shading.gamma)
        shaded = shaded * np.exp(square * (a + b * square))[:, None]
        off = np.minimum(np.abs(np.minimum(shaded, 1.0) - self.frame[pick]), LARGEST_DIFFERENCE)
        return float(np.average(off.mean(axis=1), weights=self.weights[pick]))


def _square_radius(height: int, width: int) -> Float32Array:
    """Squared distance from the middle, 1 in the corners."""
    x = np.linspace(-1, 1, width, dtype=np.float32) * width
    y = np.linspace(-1, 1, height, dtype=np.float32) * height
    return np.asarray((x[None] ** 2 + y[:, None] ** 2) / np.float32(width**2 + height**2))

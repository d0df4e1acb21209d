"""Weights by which pictures of a set in different light add up to a frame.

Light is additive: a set lit by two lamps is the sum of its pictures by each of them, in linear light. The
weights of the pictures are found by non-negative least squares, which are robust (Tukey's biweight,
iteratively reweighted) because the subject is in the frame and in none of the pictures. They are local, on a
coarse grid: each cell has its own normal equations, summed over a neighbourhood, with the frame's common
weights as a prior (ridge).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Float32Array, Float64Array

# Numbers without a reason are choices; docs/plate-design.md has the measurements.

VIEW_SIDE = 240
"""Longest side of the copies for measuring light: light is smooth."""

CELL = 20
"""Side, in pixels of the copies, of a cell: at most 12 cells from side to side."""

REACH_CELLS = 1.0
"""Sigma of the neighbourhood of a cell, in cells."""

PRIOR = 0.02
"""Weight of the common weights in a cell, as a share of a cell that shows background alone."""

DARKEST, BRIGHTEST = 0.02, 0.97
"""Code values, of 1, between which a pixel is compared: below, noise decides, above, clipping."""

REACHES = (0.15, 0.1, 0.07, 0.05, 0.035)
"""Difference, in code values of 1, at which a pixel's weight is 0, in the steps of the fit: the later ones as
in ``illumination``."""

COMMON_STEPS = 2
"""First steps that fit common weights only."""

GUESS_ERROR = 0.04
"""Difference at which a pixel does not support a guess of the weights."""

STAYS = 1.1
"""Factor on the best guess's cost up to which the weights of the frame before are the start."""

LARGEST_TINT = 1.25
"""Largest factor of a colour channel beside the weights: white balance."""

SWEEPS = 40
"""Sweeps of coordinate descent; eight weights converge to 1e-3 in 30."""

_SLOPE_POWER = 1 / 2.2 - 1
_LEAST_LIGHT = 0.004


@dataclass(frozen=True)
class LightMixture:
    """Weights of the pictures.

    Attributes:
        weights: float32 ``(pictures, rows, columns)``, 0 or more: factors on linear light, at the centres of
            the cells.
        tint: float32 ``(3,)``: factors of red, green and blue beside them, 1 on average.
        error: Mean difference, in code values of 1, of the pixels that count.
        support: Share of the compared pixels that count.
    """

    weights: Float32Array
    tint: Float32Array
    error: float
    support: float

    def shares(self, views: Float32Array) -> Float32Array:
        """Share of each picture in the light of the frame; together 1."""
        light = [mix_one(view, cells).mean() for view, cells in zip(views, self.weights, strict=True)]
        return np.asarray(light, np.float32) / max(float(np.sum(light)), 1e-6)


def enlarge(cells: Float32Array, height: int, width: int) -> Float32Array:
    """Interpolate values at the centres of cells over a picture."""
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def mix_one(picture: Float32Array, cells: Float32Array) -> Float32Array:
    """A picture in linear light, weighted."""
    return np.asarray(picture * enlarge(cells, *picture.shape[:2])[..., None], np.float32)


def mix(pictures: Float32Array, mixture: LightMixture) -> Float32Array:
    """The sum of pictures in linear light, ``(n, height, width, 3)``, with the mixture's weights and tint."""
    return _mix(pictures, mixture.weights) * mixture.tint


def fit_mixture(
    frame: Float32Array, pictures: Float32Array, usable: BoolArray, before: LightMixture | None = None
) -> LightMixture | None:
    """Find the weights of the pictures in a frame.

    Args:
        frame: float32 linear light, ``(height, width, 3)``, small.
        pictures: The registered exposures, likewise as linear light, ``(n, height, width, 3)``.
        usable: bool ``(height, width)``: pixels that may be background and are not clipped.
        before: Mixture of the frame before, as a start.

    Returns:
        The mixture; None if hardly any pixel is usable.
    """
    height, width = usable.shape
    grid = max(1, round(height / CELL)), max(1, round(width / CELL))
    if np.count_nonzero(usable) < CELL * CELL:
        return None
    # Differences of light count as those of code values do: by the slope of the transfer.
    luminance = np.maximum(frame.mean(axis=2), _LEAST_LIGHT)[..., None]
    slope = np.power(luminance, _SLOPE_POWER) / 2.2
    target, basis = frame * slope, pictures * slope
    weights = _start(target, basis, usable, grid, before)
    tint = np.ones(3, np.float32) if before is None else before.tint
    for step, reach in enumerate(REACHES):
        mixed = _mix(basis, weights)
        residual = np.abs(target - mixed * tint).max(axis=2)
        trust = np.clip(1 - (residual / reach) ** 2, 0, None) ** 2 * usable
        if step >= COMMON_STEPS:
            tint = _find_tint(target, mixed, trust)
        weights = _solve(target, basis * tint, trust, grid, common=step < COMMON_STEPS)
    residual = np.abs(target - _mix(basis, weights) * tint).max(axis=2)
    counts = usable & (residual < REACHES[-1])
    error = float(residual[counts].mean()) if counts.any() else 1.0
    support = float(np.count_nonzero(counts)) / np.count_nonzero(usable)
    return LightMixture(weights, tint, error, support)


def _start(
    target: Float32Array,
    basis: Float32Array,
    usable: BoolArray,
    grid: tuple[int, int],
    before: LightMixture | None,
) -> Float32Array:
    """The guess that most pixels support: each cell's own weights, or those of the frame before."""
    normal, right = _normal_equations(target, basis, usable.astype(np.float32), grid)
    guesses = _solve_cells(normal, right).reshape(len(basis), -1).T
    guesses = guesses[np.any(guesses > 0, axis=1)]
    sparse = np.zeros_like(usable)
    sparse[::2, ::2] = True
    chosen = usable & sparse
    seen, values = target[chosen], basis[:, chosen]

    def cost(mixed: Float32Array) -> float:
        residual = np.abs(seen - mixed).max(axis=-1)
        return float(np.minimum(residual, GUESS_ERROR).sum())

    costs = [cost(np.tensordot(guess, values, 1)) for guess in guesses]
    best = int(np.argmin(costs)) if costs else -1
    if before is not None:
        held = cost(_mix(basis, before.weights)[chosen] * before.tint)
        if best < 0 or held <= STAYS * costs[best]:
            return before.weights
    common = guesses[best] if best >= 0 else np.full(len(basis), 1 / len(basis), np.float32)
    return np.broadcast_to(common[:, None, None], (len(basis), *grid)).astype(np.float32)


def _mix(basis: Float32Array, weights: Float32Array) -> Float32Array:
    mixed = np.zeros(basis.shape[1:], np.float32)
    for picture, cells in zip(basis, weights, strict=True):
        mixed += mix_one(picture, cells)
    return mixed


def _find_tint(target: Float32Array, mixed: Float32Array, trust: Float32Array) -> Float32Array:
    weighted = mixed * trust[..., None]
    tint = (target * weighted).sum(axis=(0, 1)) / np.maximum((mixed * weighted).sum(axis=(0, 1)), 1e-6)
    tint = np.clip(tint / max(float(tint.mean()), 1e-6), 1 / LARGEST_TINT, LARGEST_TINT)
    return np.asarray(tint, np.float32)


def _solve(
    target: Float32Array, basis: Float32Array, trust: Float32Array, grid: tuple[int, int], *, common: bool
) -> Float32Array:
    """Weights of each cell; the same everywhere if ``common``."""
    normal, right = _normal_equations(target, basis, trust, grid)
    whole_normal, whole_right = normal.mean(axis=(2, 3)), right.mean(axis=(1, 2))
    whole = _solve_cells(whole_normal[..., None, None], whole_right[..., None, None])
    everywhere = np.broadcast_to(whole, right.shape).astype(np.float32)
    if common:
        return everywhere
    count = len(basis)
    blur = (0, 0)
    normal = np.stack([cv2.GaussianBlur(each, blur, REACH_CELLS) for each in normal.reshape(-1, *grid)])
    normal = normal.reshape(count, count, *grid)
    right = np.stack([cv2.GaussianBlur(each, blur, REACH_CELLS) for each in right])
    # A cell of the subject has a trace near 0, and keeps the prior.
    ridge = PRIOR * np.trace(whole_normal) / count + 1e-9
    normal = normal + ridge * np.eye(count)[..., None, None]
    return _solve_cells(normal, right + ridge * whole)


def _normal_equations(
    target: Float32Array, basis: Float32Array, trust: Float32Array, grid: tuple[int, int]
) -> tuple[Float64Array, Float64Array]:
    """Means over each cell: products of the pictures, ``(n, n, rows, columns)``, and with the target."""
    size = grid[::-1]

    def average(product: Float32Array) -> Float32Array:
        return np.asarray(cv2.resize(product.sum(axis=2), size, interpolation=cv2.INTER_AREA))

    count = len(basis)
    trusted = basis * trust[..., None]
    normal = np.empty((count, count, *grid))
    right = np.empty((count, *grid))
    for one in range(count):
        right[one] = average(trusted[one] * target)
        for other in range(one + 1):
            normal[one, other] = normal[other, one] = average(trusted[one] * basis[other])
    return normal, right


def _solve_cells(normal: Float64Array, right: Float64Array) -> Float32Array:
    """Non-negative least squares in each cell, by coordinate descent."""
    count = len(right)
    weights = np.zeros_like(right)
    diagonal = np.stack([np.maximum(normal[k, k], 1e-9) for k in range(count)])
    for _ in range(SWEEPS):
        for k in range(count):
            rest = right[k] - sum(normal[k, j] * weights[j] for j in range(count) if j != k)
            weights[k] = np.maximum(0.0, rest / diagonal[k])
    return weights.astype(np.float32)

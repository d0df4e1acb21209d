"""Procedural alpha mattes of shapes that are rare in data sets: strands, fur, nets, cables, holes.

Each is drawn with OpenCV at four times its size and reduced, so that coverage at the edge is exact to 1/16.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import ByteArray, Float64Array

_SIDE = 352
_OVERSAMPLING = 4
_CANVAS = _SIDE * _OVERSAMPLING


def draw_shape(rng: np.random.Generator) -> ByteArray:
    """Draw one random shape, uint8 ``(352, 352)``, that does not touch the picture's border."""
    drawers: tuple[Callable[[np.random.Generator, ByteArray], None], ...] = (
        _draw_blob, _draw_polygon, _draw_fur, _draw_strands, _draw_net, _draw_cables, _draw_fingers,
    )  # fmt: skip
    canvas = np.zeros((_CANVAS, _CANVAS), np.uint8)
    drawers[int(rng.integers(len(drawers)))](rng, canvas)
    if rng.random() < 0.3:
        _punch_holes(rng, canvas)
    alpha = np.asarray(cv2.resize(canvas, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.2:
        alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), float(rng.uniform(0.6, 4))), np.uint8)
    alpha[:4], alpha[-4:], alpha[:, :4], alpha[:, -4:] = 0, 0, 0, 0
    return alpha


def _outline(rng: np.random.Generator, wobble: float, radius: float = 0.36) -> Float64Array:
    """Make a closed curve around the middle, ``(points, 2)`` in canvas pixels: a circle with harmonics."""
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    distance = np.full_like(angle, radius * rng.uniform(0.5, 1.0))
    for harmonic in range(1, 7):
        distance *= 1 + wobble / harmonic * rng.normal() * np.cos(
            harmonic * angle + rng.uniform(0, 2 * np.pi)
        )
    distance = distance.clip(0.05, 0.46)
    stretch = rng.uniform(0.5, 1.0, 2)
    points = np.stack([np.cos(angle) * stretch[0], np.sin(angle) * stretch[1]], 1) * distance[:, None]
    return np.asarray((points + 0.5) * _CANVAS)


def _fill(canvas: ByteArray, points: Float64Array, value: int = 255) -> None:
    cv2.fillPoly(canvas, [points.round().astype(np.int32)], value)


def _draw_blob(rng: np.random.Generator, canvas: ByteArray) -> None:
    _fill(canvas, _outline(rng, 0.3))


def _draw_polygon(rng: np.random.Generator, canvas: ByteArray) -> None:
    outline = _outline(rng, 0.5)
    _fill(canvas, outline[np.sort(rng.choice(len(outline), int(rng.integers(3, 12)), replace=False))])


def _curve(
    rng: np.random.Generator, start: Float64Array, direction: float, length: float, bend: float
) -> npt.NDArray[np.int32]:
    """Make a strand from ``start``; its heading changes smoothly by some ``bend`` radians over its length."""
    steps = 24
    turn = np.cumsum(
        np.full(steps, rng.normal(0, bend / steps)) + rng.normal(0, 0.35 * bend / steps**0.5, steps)
    )
    heading = direction + turn
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1) * (length / steps), 0) + start
    return np.asarray(np.concatenate([start[None], path]).round(), np.int32)


def _draw_fur(rng: np.random.Generator, canvas: ByteArray) -> None:
    outline = _outline(rng, 0.2, 0.26)
    _fill(canvas, outline)
    middle = outline.mean(0)
    length, bend = rng.uniform(0.03, 0.14) * _CANVAS, rng.uniform(0.3, 2.5)
    for _ in range(int(rng.integers(150, 900))):
        root = outline[int(rng.integers(len(outline)))]
        outward = float(np.arctan2(*(root - middle)[::-1])) + rng.normal(0, 0.4)
        path = _curve(rng, root, outward, length * rng.uniform(0.4, 1.4), bend)
        cv2.polylines(
            canvas, [path], False, int(rng.integers(140, 256)), int(rng.integers(1, 6)), cv2.LINE_AA
        )


def _draw_strands(rng: np.random.Generator, canvas: ByteArray) -> None:
    root = np.array([rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.4)]) * _CANVAS
    direction, spread, bend = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1.2), rng.uniform(0.2, 3.0)
    for _ in range(int(rng.integers(60, 600))):
        start = root + rng.normal(0, 0.05 * _CANVAS, 2)
        length = rng.uniform(0.2, 0.5) * _CANVAS
        path = _curve(rng, start, direction + rng.normal(0, spread), length, bend)
        cv2.polylines(
            canvas, [path], False, int(rng.integers(120, 256)), int(rng.integers(1, 8)), cv2.LINE_AA
        )


def _draw_net(rng: np.random.Generator, canvas: ByteArray) -> None:
    mesh = np.zeros_like(canvas)
    pitch, thickness = int(rng.integers(40, 160)), int(rng.integers(4, 24))
    slant = int(rng.integers(-_CANVAS // 2, _CANVAS // 2))
    for offset in range(-_CANVAS, 2 * _CANVAS, pitch):
        cv2.line(mesh, (offset, 0), (offset + slant, _CANVAS), 255, thickness, cv2.LINE_AA)
        cv2.line(mesh, (0, offset), (_CANVAS, offset - slant), 255, thickness, cv2.LINE_AA)
    outline = _outline(rng, 0.2)
    _fill(canvas, outline)
    np.minimum(canvas, mesh, out=canvas)
    cv2.polylines(canvas, [outline.round().astype(np.int32)], True, 255, 2 * thickness, cv2.LINE_AA)


def _draw_cables(rng: np.random.Generator, canvas: ByteArray) -> None:
    for _ in range(int(rng.integers(1, 7))):
        start = rng.uniform(0.15, 0.85, 2) * _CANVAS
        path = _curve(
            rng, start, rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.4) * _CANVAS, rng.uniform(0.5, 6)
        )
        cv2.polylines(canvas, [path], False, 255, int(rng.integers(3, 40)), cv2.LINE_AA)


def _draw_fingers(rng: np.random.Generator, canvas: ByteArray) -> None:
    palm = np.array([0.5, 0.62]) * _CANVAS
    _fill(canvas, (_outline(rng, 0.15, 0.2) - 0.5 * _CANVAS) + palm)
    direction, thickness = rng.uniform(-np.pi, 0), rng.uniform(0.02, 0.07) * _CANVAS
    for finger in range(int(rng.integers(2, 7))):
        heading = direction + 0.4 * finger + rng.normal(0, 0.1)
        path = _curve(rng, palm, heading, rng.uniform(0.3, 0.48) * _CANVAS, 0.6)
        cv2.polylines(canvas, [path], False, 255, max(2, int(thickness * rng.uniform(0.7, 1.2))), cv2.LINE_AA)


def _punch_holes(rng: np.random.Generator, canvas: ByteArray) -> None:
    for _ in range(int(rng.integers(1, 4))):
        centre = (int(rng.uniform(0.3, 0.7) * _CANVAS), int(rng.uniform(0.3, 0.7) * _CANVAS))
        axes = (int(rng.uniform(0.01, 0.1) * _CANVAS), int(rng.uniform(0.01, 0.1) * _CANVAS))
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, 0, -1, cv2.LINE_AA)

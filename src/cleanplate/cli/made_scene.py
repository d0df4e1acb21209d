"""Synthetic scene for ``cleanplate bench``: a set with a figure, with the same pixels on every machine.

A lit room with textured walls and furniture; in front of it a figure from the hips up with loose hair, which
fills about a third of the frame and sways a little. The frames have a slightly different exposure and new
sensor noise. The network gets soft edges, strands and a wide background.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.frame import AnyArray, ByteArray

SHADOW = 0.12
EXPOSURE_GAIN = 1.03
NOISE_LEVELS = 1.5
SHAKE = 0.01
SWAY = 0.02
"""Sway to each side, as a share of the frame's width."""


@dataclass(frozen=True)
class Scene:
    """A plate and the frames in front of it.

    Attributes:
        plate: uint8 RGB ``(height, width, 3)``.
        figure: float32 straight RGB in 0..255, ``(height, width, 3)``.
        alpha: float32 in [0, 1], ``(height, width)``, of the figure in the middle of its sway.
    """

    plate: ByteArray
    figure: AnyArray
    alpha: AnyArray

    def frames(self, count: int) -> Iterator[ByteArray]:
        """Give ``count`` frames of one sway from side to side, uint8 RGB."""
        random = np.random.default_rng(2)
        height, width = self.alpha.shape
        noise = random.normal(0, NOISE_LEVELS, (height + 64, width, 3)).astype(np.float32)
        for number in range(count):
            shift = SWAY * width * np.sin(2 * np.pi * number / count)
            move = np.array([[1, 0, shift], [0, 1, 0]], np.float32)
            alpha = cv2.warpAffine(self.alpha, move, (width, height))[..., None]
            figure = cv2.warpAffine(self.figure, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
            shade = (
                1 - SHADOW * cv2.resize(_soften(alpha[::8, ::8, 0], width / 160), (width, height))[..., None]
            )
            picture = EXPOSURE_GAIN * (alpha * figure + (1 - alpha) * shade * self.plate)
            first = int(random.integers(64))
            yield _to_bytes(picture + noise[first : first + height])


def build_scene(height: int, width: int) -> Scene:
    """Paint the set and the figure at this size."""
    random = np.random.default_rng(1)
    room = _paint_room(height, width, random)
    alpha, figure = _paint_figure(height, width, random)
    plate = room + random.normal(0, NOISE_LEVELS, room.shape).astype(np.float32)
    return Scene(_to_bytes(plate), figure, alpha)


def shake_frame(frame: ByteArray, phase: float) -> ByteArray:
    """Move the camera along a loop, by at most a hundredth of the width; ``phase`` runs from 0 to 1."""
    height, width = frame.shape[:2]
    angle = 2 * np.pi * phase
    move = np.array(
        [[1, 0, SHAKE * width * np.sin(angle)], [0, 1, SHAKE * width * np.sin(2 * angle)]], np.float32
    )
    moved = cv2.warpAffine(frame, move, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def _paint_room(height: int, width: int, random: np.random.Generator) -> AnyArray:
    """A wall with light falling off to one side, a window, a shelf with books, and a floor."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
    light = 1.1 - 0.5 * np.hypot(x - 0.2, y - 0.1)
    room = light[..., None] * np.array([176, 168, 150], np.float32)
    floor = int(0.82 * height)
    room[floor:] = light[floor:, :, None] * np.array([120, 88, 62], np.float32)

    def box(left: float, top: float, right: float, bottom: float, colour: tuple[float, float, float]) -> None:
        corner, opposite = (int(left * width), int(top * height)), (int(right * width), int(bottom * height))
        cv2.rectangle(room, corner, opposite, colour, -1, cv2.LINE_AA)

    box(0.05, 0.1, 0.24, 0.5, (236, 240, 244))
    box(0.14, 0.1, 0.15, 0.5, (140, 132, 120))
    for shelf in (0.3, 0.55):
        box(0.72, shelf, 0.98, shelf + 0.02, (84, 58, 40))
        left = 0.73
        while left < 0.96:
            thickness, tall = random.uniform(0.008, 0.02), random.uniform(0.1, 0.18)
            red, green, blue = (float(value) for value in random.uniform(40, 200, 3))
            box(left, shelf - tall, left + thickness, shelf, (red, green, blue))
            left += thickness + 0.003
    return np.asarray(room * _texture(height, width, random, strength=0.06))


def _paint_figure(height: int, width: int, random: np.random.Generator) -> tuple[AnyArray, AnyArray]:
    """Alpha, and straight colour of head, hair, torso and arms."""
    unit = 0.7 * float(np.sqrt(height * width))  # of length, so that a third of any frame is covered
    middle = width / 2

    def at(x: float, y: float) -> tuple[int, int]:
        return round(middle + x * unit), round(height + (y - 1) * unit)

    alpha = np.zeros((height, width), np.float32)
    figure = np.full((height, width, 3), (52, 74, 110), np.float32)
    torso = np.array(
        [at(-0.42, 0.5), at(-0.15, 0.4), at(0.15, 0.4), at(0.42, 0.5), at(0.36, 1.02), at(-0.36, 1.02)]
    )
    cv2.fillPoly(alpha, [torso], 1.0, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.line(alpha, at(side * 0.38, 0.56), at(side * 0.5, 1.02), 1.0, round(0.17 * unit), cv2.LINE_AA)

    skin, hair = (204, 158, 130), (62, 44, 34)
    for canvas, paint in ((alpha, 1.0), (figure, hair)):
        cv2.ellipse(
            canvas, at(0, 0.22), (round(0.165 * unit), round(0.19 * unit)), 0, 0, 360, paint, -1, cv2.LINE_AA
        )
    for canvas, paint in ((alpha, 1.0), (figure, skin)):
        cv2.line(canvas, at(0, 0.3), at(0, 0.42), paint, round(0.14 * unit), cv2.LINE_AA)
        cv2.ellipse(
            canvas, at(0, 0.24), (round(0.12 * unit), round(0.16 * unit)), 0, 0, 360, paint, -1, cv2.LINE_AA
        )

    for _ in range(240):
        strand = _strand(random)
        points = np.array([at(x, y) for x, y in strand], np.int32).reshape(-1, 1, 2)
        thickness = max(1, round(unit / 700))
        cv2.polylines(alpha, [points], False, float(random.uniform(0.4, 0.95)), thickness, cv2.LINE_AA)
        cv2.polylines(figure, [points], False, hair, 4 * thickness, cv2.LINE_AA)
    figure *= _texture(height, width, random, strength=0.15)
    return _soften(alpha, unit / 900), figure


def _strand(random: np.random.Generator) -> list[tuple[float, float]]:
    """A hair that begins at the head's outline, points outwards and falls."""
    angle = random.uniform(-0.15 * np.pi, 1.15 * np.pi)
    length, bend = random.uniform(0.05, 0.16), random.uniform(0.0, 0.12)
    out = np.array([np.cos(angle), -np.sin(angle)])
    root = np.array([0.15, 0.17]) * out + (0, 0.22)
    return [
        (float(x), float(y))
        for x, y in (root + step * length * out + (0, bend * step**2) for step in np.linspace(0, 1, 9))
    ]


def _texture(height: int, width: int, random: np.random.Generator, strength: float) -> AnyArray:
    """Cloudy noise of several octaves around 1, ``(height, width, 1)``."""
    total = np.zeros((height, width), np.float32)
    for cells in (6, 24, 96, 384):
        grid = random.uniform(-1, 1, (cells, max(1, round(cells * width / height)))).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
    return (1 + strength / 2 * total)[..., None]


def _soften(picture: AnyArray, sigma: float) -> AnyArray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.5)), np.float32)


def _to_bytes(picture: AnyArray) -> ByteArray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)

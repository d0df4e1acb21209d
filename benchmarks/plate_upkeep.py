"""Drift of a plate with and without ``--follow``: ``python benchmarks/plate_upkeep.py [--size 640x360]``.

Four clips are composited in memory, with exact truth: light that drifts by a stop over 500 frames, a lamp
that is switched on at one side, a chair that is moved while somebody walks about, and a person who stands in
one place for two minutes. Printed is the mean of |alpha - truth| in thousandths over spans of each clip.
Where a chair was moved, truth is the person alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from cleanplate import Frame, Keyer
from cleanplate.cli.made_scene import Scene, build_scene

Shot = Iterator[tuple[np.ndarray, np.ndarray]]
NOISE_LEVELS = 1.5
FIGURE_SIZE = 0.7


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        shoot: Gives ``(frame, true alpha)`` one after another.
        rate: Frames per second.
        spans: Spans to report: name, first and last frame.
    """

    shoot: Callable[[Scene], Shot]
    rate: int
    spans: tuple[tuple[str, int, int], ...]


def compose(scene: Scene, place: float, light: np.ndarray | float, seed: int, room: np.ndarray | None = None):
    """The figure at ``place`` (shift in shares of the width) in a room under a light, with a shadow."""
    height, width = scene.alpha.shape
    left = width * (0.5 * (1 - FIGURE_SIZE) + place)
    move = np.array([[FIGURE_SIZE, 0, left], [0, FIGURE_SIZE, height * (1 - FIGURE_SIZE)]], np.float32)
    alpha = cv2.warpAffine(scene.alpha, move, (width, height))
    figure = cv2.warpAffine(scene.figure, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    back = scene.plate.astype(np.float32) if room is None else room
    shade = 1 - 0.1 * cv2.GaussianBlur(alpha, (0, 0), width / 40)[..., None]
    picture = (alpha[..., None] * figure + (1 - alpha[..., None]) * back * shade) * light
    noise = np.random.default_rng(seed).normal(0, NOISE_LEVELS, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8), alpha


def drift(scene: Scene) -> Shot:
    """Light from half a stop down to half a stop up, without new clipping; the figure sways."""
    for number in range(500):
        light = 2 ** (-(number / 499) / 2.2)
        yield compose(scene, 0.05 * np.sin(number / 20), light, number)


def lamp(scene: Scene) -> Shot:
    """A warm lamp at the left from frame 50 on, in a rather dark room."""
    width = scene.alpha.shape[1]
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    glow = 0.55 + np.exp(-3 * x) * np.array([0.6, 0.5, 0.35], np.float32)
    for number in range(150):
        yield compose(scene, 0.05 * np.sin(number / 20), 0.55 if number < 50 else glow, number)


def chair(scene: Scene) -> Shot:
    """A box that moves from the left to the right at frame 50, and a pacing figure."""
    for number in range(400):
        there = 0 if number < 50 else 1
        yield compose(scene, 0.06 * np.sin(number / 5), 1.0, number, furnish(scene, there))


def standing(scene: Scene) -> Shot:
    """Two minutes in one place, with a sway of half a percent of the width."""
    for number in range(1200):
        yield compose(scene, 0.003 * np.sin(number / 9) + 0.002 * np.sin(number / 31), 1.0, number)


def furnish(scene: Scene, there: int) -> np.ndarray:
    """Make the room with a box at the left (0) or at the right (1)."""
    height, width = scene.alpha.shape
    room = scene.plate.astype(np.float32)
    left = (0.02, 0.86)[there]
    corners = [(left, 0.6), (left + 0.12, 0.6), (left + 0.12, 0.95), (left, 0.95)]
    points = np.array([(round(x * width), round(y * height)) for x, y in corners], np.int32)
    cv2.fillPoly(room, [points], (150.0, 60.0, 50.0))
    return room


CLIPS = {
    "drift": Clip(drift, 25, (("0-99", 0, 100), ("400-499", 400, 500))),
    "lamp": Clip(lamp, 25, (("before", 0, 50), ("first 0.5 s", 50, 63), ("after", 63, 150))),
    "chair": Clip(chair, 10, (("before", 0, 50), ("moved", 50, 100), ("last 10 s", 300, 400))),
    "standing": Clip(standing, 10, (("first 10 s", 0, 100), ("last 10 s", 1100, 1200))),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    scene = build_scene(height, width)
    for name in options.clips:
        clip = CLIPS[name]
        plate = scene.plate if name != "chair" else furnish(scene, 0).astype(np.uint8)
        if name == "lamp":
            plate = (plate * np.float32(0.55)).astype(np.uint8)
        for follow in (False, True):
            keyer = Keyer(plate, follow=follow)
            errors, began = [], time.process_time()
            for number, (picture, truth) in enumerate(clip.shoot(scene)):
                matte = keyer(Frame(picture, pts=number, time_base=Fraction(1, clip.rate), index=number))
                errors.append(float(np.abs(matte.alpha - truth).mean()))
            seconds = time.process_time() - began
            spans = "  ".join(
                f"{title} {1e3 * np.mean(errors[first:last]):.2f}" for title, first, last in clip.spans
            )
            print(f"{name:9} follow {follow!s:5}  {spans}  ({seconds:.0f} s)", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

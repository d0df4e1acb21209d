"""Make results of the Python package, for the tests of its port: ``python web/tests/vectors/make.py``.

Writes ``router.json``, ``hint.json`` and ``tracking.json`` beside itself: arrays as base64 of little-endian
values, in the order of their shape.
"""

from __future__ import annotations

import base64
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cleanplate.frame import Frame, Padding
from cleanplate.keyer.hints.hint_sources import PictureHints, read_strokes
from cleanplate.keyer.hints.hint_tracking import Hint, HintTracker
from cleanplate.keyer.hints.hinted_coarse import apply_hint
from cleanplate.models.registry import find_model
from cleanplate.router import Coarse, Refine
from cleanplate.router.cells import Tiles, plan_tiles, select_cells
from cleanplate.router.layout import lay_out
from cleanplate.router.numpy_router import NumpyRouter, cut_windows

SIZES = [(360, 640), (480, 640), (720, 1280), (1080, 1920), (1920, 1080), (604, 700), (480, 320)]
SIZES += [(1200, 1600), (3024, 4032), (33, 57), (1079, 1921)]
SHRINKS = [((64, 96), (32, 48)), ((64, 96), (16, 24)), ((60, 96), (40, 64)), ((72, 90), (16, 32))]
SHRINKS += [((50, 70), (48, 64))]
HIDDEN_CHANNELS = 11
"""Of the router's coarse result. Not those of a model: with another number, the random values are others."""

CHANGES = [(30, 34, 60, 66, True), (0, 60, 0, 120, True), (0, 0, 0, 0, True), (0, 0, 0, 0, False)]


def pack(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    kind = {"float32": "f4", "uint8": "u1", "bool": "u1", "int64": "i4"}[array.dtype.name]
    data = np.ascontiguousarray(array).astype(f"<{kind}").tobytes()
    return {"shape": list(array.shape), "type": kind, "data": base64.b64encode(data).decode()}


def draw(random: np.random.Generator, height: int, width: int) -> np.ndarray[Any, Any]:
    """A picture with plain parts and noise, ``(height, width, 3)``."""
    y, x = np.mgrid[:height, :width]
    base = np.stack([80 + x, 40 + 2 * y, 120 + 60 * np.sin(x / 7 + y / 5)], axis=2)
    return np.clip(base + random.normal(0, 9, base.shape), 0, 255).astype(np.uint8)


def fake_network(half: np.ndarray[Any, Any], full: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Stands for the refiner: looks at the corners of both windows, so that a wrong halo shows."""
    side = full.shape[2] - 4
    near = half[:, :, 3:-3, 3:-3].repeat(2, axis=2).repeat(2, axis=3)
    far = half[:, :, :-6, :-6].repeat(2, axis=2).repeat(2, axis=3)
    alpha = 0.5 * near[:, :1] + 0.7 * full[:, :1, 4:, 4:] - 0.2 * far[:, 3:4]
    residual = full[:, 3:, :side, :side] - full[:, :3, 2:-2, 2:-2] + 0.1 * near[:, 1:4]
    return np.concatenate([alpha, residual], axis=1).astype(np.float32)


def find_change(
    router: NumpyRouter,
    random: np.random.Generator,
    top: int,
    bottom: int,
    left: int,
    right: int,
    known: bool,
) -> dict[str, Any]:
    """A small pair that differs in a rectangle, and the region of the router."""
    plate = draw(random, 64, 128)
    source = np.clip(plate + random.normal(0, 1, plate.shape), 0, 255).astype(np.uint8)
    source[top:bottom, left:right] ^= 0x80
    both = np.concatenate([plate, np.full((64, 128, 1), 255, np.uint8)], axis=2)
    if not known:
        both[60:, 120:] = 0
    planes = [(x.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32) for x in (source, both)]
    region = router.find_change(planes[0], planes[1])
    found = None if region is None else [region.top, region.left, region.height, region.width]
    return {"source": pack(source), "plate": pack(both), "region": found}


def make_hint() -> dict[str, Any]:
    """A hint over a coarse result with a hole, an island and an unsure edge, and what becomes of it.

    The frame is padded by two rows and columns; the coarse result has half of its side, the hint 1.5 times.
    """
    frame = np.full((118, 158, 3), 90, np.uint8)
    frame[:, 120:] = 200
    alpha, error = np.zeros((60, 80), np.float32), np.zeros((60, 80), np.float32)
    cv2.circle(alpha, (30, 30), 20, 1.0, -1)
    cv2.circle(alpha, (27, 30), 8, 0.0, -1)
    cv2.circle(alpha, (70, 10), 6, 1.0, -1)
    alpha[40:, 56:], error[40:, 56:] = 0.5, 0.5
    alpha = np.round(cv2.GaussianBlur(alpha, (0, 0), 0.7) * 255).astype(np.uint8)
    error = (error * 255).astype(np.uint8)
    hint = np.full((177, 237), 128, np.uint8)
    cv2.line(hint, (70, 90), (92, 90), 255, 7)
    cv2.line(hint, (205, 26), (215, 34), 0, 6)
    cv2.line(hint, (172, 130), (172, 170), 255, 5)
    cv2.line(hint, (20, 140), (20, 160), 255, 8)
    cv2.line(hint, (26, 140), (26, 160), 0, 8)
    padding = Padding.of(118, 158, 4)
    source = padding.pad(frame)
    maps = [(x / np.float32(255)).astype(np.float32)[None, None] for x in (alpha, error)]
    residual = np.full((1, 3, 60, 80), 0.25, np.float32)
    coarse = Coarse(maps[0], residual, maps[1], np.zeros((1, 1, 60, 80), np.float32))
    strokes = read_strokes(hint, None, Frame(frame))
    given = Hint(strokes.white, strokes.black, 1.0)
    changed = apply_hint(coarse, given, source[None], NumpyRouter(), Frame(frame), padding)
    return {
        "frame": pack(frame), "hint": pack(hint), "alpha": pack(alpha), "error": pack(error),
        "white": pack(strokes.white), "black": pack(strokes.black),
        "changed": {"alpha": pack(changed.alpha[0]), "error": pack(changed.error[0]),
                    "residual": pack(changed.residual[0, :1])},
    }  # fmt: skip


def make_tracking() -> dict[str, Any]:
    """Strokes on a subject that moves over a still ground, and where they are in its last frame.

    Each frame is the ground with the subject at a place; the hint is rectangles ``(top, left, bottom,
    right)``.
    """
    random = np.random.default_rng(3)
    ground, subject = draw_texture(random, 96, 120), draw_texture(random, 50, 44)
    places = [(20 + round(0.7 * i), 14 + 3 * i) for i in range(14)]
    white, black = [(30, 24, 60, 29), (52, 34, 56, 50)], [(8, 60, 13, 100), (76, 20, 92, 25)]
    hint, speaks = np.zeros((96, 120), np.uint8), np.zeros((96, 120), np.uint8)
    for rectangles, value in ((white, 255), (black, 0)):
        for top, left, bottom, right in rectangles:
            hint[top:bottom, left:right], speaks[top:bottom, left:right] = value, 255
    tracker = HintTracker(PictureHints({None: (hint, speaks)}))
    carried = None
    for index, (top, left) in enumerate(places):
        frame = ground.copy()
        frame[top : top + 50, left : left + 44] = subject
        pixels = np.repeat(frame[..., None], 3, axis=2)
        carried = tracker.follow(Frame(pixels, index, Fraction(1, 25), index=index))
    assert carried is not None
    return {
        "ground": pack(ground), "subject": pack(subject), "places": places,
        "hint": {"white": white, "black": black},
        "white": pack(carried.white), "black": pack(carried.black),
    }  # fmt: skip


def draw_texture(random: np.random.Generator, height: int, width: int) -> np.ndarray[Any, Any]:
    """Smooth noise in grey, ``(height, width)``."""
    noise = cv2.GaussianBlur(random.normal(0, 1, (height, width)), (0, 0), 2.5)
    return np.clip(128 + 35 * noise / noise.std(), 0, 255).astype(np.uint8)


def main() -> None:
    config = find_model("lite").config
    router = NumpyRouter()
    random = np.random.default_rng(7)
    layouts = []
    for height, width in SIZES:
        for quality, finer in (("live", 1.0), ("fine", 1.5)):
            layout = lay_out(config, height, width, finer=finer)
            layouts.append([height, width, quality, *layout.padding.padded_size, *layout.coarse_size])
    shrinks = []
    for size, wanted in SHRINKS:
        picture = draw(random, *size)
        small = router.shrink(picture[None], wanted, "area")[0]
        shrinks.append({"picture": pack(picture), "small": pack(small)})

    height, width = 88, 120
    source, plate = draw(random, height, width), draw(random, height, width)
    source[20:60, 50:90] = random.integers(0, 255, (40, 40, 3))
    maps = (36, 48)
    channels = {"alpha": 1, "residual": 3, "error": 1, "hidden": HIDDEN_CHANNELS}
    coarse = Coarse(*(random.random((1, c, *maps), dtype=np.float32) for c in channels.values()))
    coarse.residual[...] -= 0.5
    coarse.error[:, :, :12] *= 0.1
    coarse.error[:, :, :, 30:] = 0
    refine = Refine("threshold", 0.4)
    selected = select_cells(coarse.error, (height, width), refine)
    tiles = plan_tiles(selected)
    chosen = Tiles(16, np.zeros(3, int), np.array([0, 32, 80]), np.array([0, 48, 112]))
    half, full = cut_windows(source[None], plate[None], coarse, chosen, 3)
    alpha, foreground = router.refine(source[None], plate[None], coarse, refine, fake_network, 3)

    changes = [find_change(router, random, *case) for case in CHANGES]
    record = {
        "layouts": layouts,
        "shrinks": shrinks,
        "changes": changes,
        "refine": {
            "source": pack(source), "plate": pack(plate),
            "coarse": {name: pack(getattr(coarse, name)[0]) for name in channels},
            "threshold": refine.value,
            "selected": pack(selected[0]),
            "tiles": {"side": tiles.side, "top": pack(tiles.top), "left": pack(tiles.left)},
            "chosen": {"side": 16, "top": pack(chosen.top), "left": pack(chosen.left)},
            "half": pack(half[:, :4]), "half_sums": pack(half.sum(axis=(2, 3))), "full": pack(full),
            "alpha": pack(alpha[0]), "foreground": pack(foreground[0]),
        },
    }  # fmt: skip
    target = Path(__file__).with_name("router.json")
    target.write_text(json.dumps(record, indent=1) + "\n")
    for name, made in (("hint", make_hint()), ("tracking", make_tracking())):
        target.with_name(f"{name}.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()

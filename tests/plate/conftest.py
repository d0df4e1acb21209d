"""Made places, subjects and cameras with exact truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TRAIN = ROOT.parent / "shared" / "data" / "train"


def make_room(seed: int, height: int = 360, width: int = 640) -> np.ndarray:
    """A wall with furniture: float32 RGB of 0 to 255, different for each seed."""
    random = np.random.default_rng(seed)
    room = np.empty((height, width, 3), np.float32)
    room[:] = random.uniform(90, 190, 3)
    room *= np.linspace(random.uniform(0.7, 1), 1, width, dtype=np.float32)[None, :, None]
    for _ in range(70):
        size = random.uniform(0.03, 0.25, 2) * (height, width)
        top, left = random.uniform(-0.1, 0.95, 2) * (height, width)
        colour = random.uniform(40, 215, 3)
        box = cv2.boxPoints(((left, top), (size[1], size[0]), random.uniform(-25, 25)))
        cv2.fillPoly(room, [np.rint(box * 8).astype(np.int32)], colour.tolist(), cv2.LINE_AA, 3)
    fine = cv2.GaussianBlur(random.normal(0, 30, (height, width)).astype(np.float32), (0, 0), 1.5)
    return np.asarray(cv2.GaussianBlur(room, (0, 0), 0.8) + fine[..., None], dtype=np.float32)


def make_motion(
    height: int, width: int, x: float, y: float, degrees: float = 0.0, zoom: float = 1.0
) -> np.ndarray:
    """Turn and magnify about the centre, then shift."""
    a, b = zoom * math.cos(math.radians(degrees)), zoom * math.sin(math.radians(degrees))
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    about = np.array([[1, 0, -centre_x], [0, 1, -centre_y], [0, 0, 1.0]])
    turn = np.array([[a, -b, centre_x + x], [b, a, centre_y + y], [0, 0, 1.0]])
    return turn @ about


def shoot(scene: np.ndarray, seed: int = 0, noise: float = 1.5) -> np.ndarray:
    """Sensor noise and 8 bits."""
    grain = np.random.default_rng(1000 + seed).normal(0, noise, scene.shape)
    return np.clip(np.rint(scene + grain), 0, 255).astype(np.uint8)


def place_subject(scene: np.ndarray, cover: float, seed: int = 0) -> np.ndarray:
    """A striped figure of round outline over about ``cover`` of the scene, standing on its lower edge."""
    height, width = scene.shape[:2]
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius_x, radius_y = 0.62 * width * cover**0.5, 0.95 * height * cover**0.5
    middle = width * random.uniform(0.4, 0.6)
    inside = ((x - middle) / radius_x) ** 2 + ((y - height) / radius_y) ** 2
    alpha = np.clip((1 - np.sqrt(inside)) * 40, 0, 1)[..., None]
    pattern = 60 * np.sin(x / 6 + 3 * np.sin(y / 31)) + 20 * np.sin(y / 4)
    colour = random.uniform(50, 180, 3).astype(np.float32) + pattern[..., None]
    return np.asarray(scene * (1 - alpha) + colour * alpha, dtype=np.float32)


class Set:
    """Room larger than the picture: a moved camera sees parts that the plate does not show."""

    margin = 60

    def __init__(self, seed: int, height: int = 360, width: int = 640) -> None:
        self.height, self.width = height, width
        self.room = make_room(seed, height + 2 * self.margin, width + 2 * self.margin)
        self.plate = self.room[self.margin : -self.margin, self.margin : -self.margin]

    def seen_from(self, motion: np.ndarray) -> np.ndarray:
        """Room in view of a camera that moved by ``motion`` (plate to frame)."""
        offset = np.array([[1, 0, -self.margin], [0, 1, -self.margin], [0, 0, 1.0]])
        return cv2.warpPerspective(
            self.room, motion @ offset, (self.width, self.height), flags=cv2.INTER_LANCZOS4
        )


@pytest.fixture
def make_set() -> type[Set]:
    return Set


@pytest.fixture
def studio() -> dict[str, Callable[..., np.ndarray]]:
    """Functions of this file by name, as tests cannot import each other."""
    return {"room": make_room, "motion": make_motion, "shoot": shoot, "subject": place_subject}


@pytest.fixture
def rooms() -> list[Path]:
    """Photographs of rooms and streets, if the training data is available."""
    found = sorted((TRAIN / "backgrounds").glob("oi_*.jpg"))
    if len(found) < 2:
        pytest.skip("needs ../shared/data/train/backgrounds")
    return found

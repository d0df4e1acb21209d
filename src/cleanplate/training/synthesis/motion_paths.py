"""How a still picture moves when it stands for a clip: smooth paths of shift, size and angle. No PyTorch.

The motion augmentation of Lin et al., "Robust High-Resolution Video Matting with Temporal Guidance", WACV
2022, section 4.1, in our own figures: subject and set move on paths of their own, each from one pose to
another with some ease, and sway a little as if a hand held the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

STILL = 0.25
DRIFTS = (0.008, 0.008, 0.006, 0.004)
"""Deviation of the speed per frame of each component of a pose, in its order ..."""
MOST_DRIFTS = (0.3, 0.3, 0.35, 0.2)
"""... how far each goes at most ..."""
SWAYS = (0.006, 0.006, 0.004, 0.004)
"""... and the deviation of its sway."""
SWAY_FRAMES = (12.0, 60.0)


@dataclass(frozen=True)
class Pose:
    """How far a picture is from where it was put.

    Attributes:
        down: In heights of the frame.
        across: In heights of the frame, too.
        zoom: Factor on its size.
        angle: In radians.
    """

    down: float = 0.0
    across: float = 0.0
    zoom: float = 1.0
    angle: float = 0.0


def draw_path(random: np.random.Generator, frames: int, still: float = STILL) -> list[Pose]:
    """One pose for each of ``frames`` frames; the first is where the picture was put.

    Args:
        random: Source of the random numbers.
        frames: Length of the path.
        still: Share of the paths that do not move at all.
    """
    if random.uniform() < still:
        return [Pose()] * frames
    time = np.arange(frames)
    share = time / max(1, frames - 1)
    ease = random.uniform() * share * share * (3 - 2 * share) + random.uniform() * share
    ease /= max(ease[-1], 1e-9)
    components = []
    for speed, most, sway in zip(DRIFTS, MOST_DRIFTS, SWAYS, strict=True):
        reach = np.clip(random.normal(0, speed) * frames, -most, most)
        turns = time / random.uniform(*SWAY_FRAMES) + random.uniform()
        waves = np.sin(2 * math.pi * turns)
        components.append(reach * ease + random.normal(0, sway) * (waves - waves[0]))
    down, across, size, angle = components
    return [Pose(*map(float, pose)) for pose in zip(down, across, np.exp(size), angle, strict=True)]

"""Smooth paths of shift, size and angle that turn a still picture into a clip. No PyTorch.

The motion augmentation of Lin et al., "Robust High-Resolution Video Matting with Temporal Guidance", WACV
2022, section 4.1, with this project's parameters: subject and set move independently, each from one pose to
another with easing, and sway a little like a handheld camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

# The amounts are choices; the paper gives none.

STILL = 0.25
"""Share of the paths without motion."""
STOPS = 0.4
"""Share of the subjects of clips with a plate that stop on their path."""
DRIFTS = (0.008, 0.008, 0.006, 0.004)
"""Standard deviation of the speed per frame, for each component of a pose."""
MOST_DRIFTS = (0.3, 0.3, 0.35, 0.2)
"""Largest motion of each component of a pose."""
SWAYS = (0.006, 0.006, 0.004, 0.004)
"""Standard deviation of the sway of each component of a pose."""
SWAY_FRAMES = (12.0, 60.0)
"""Range of the period of the sway in frames: half a second to some two seconds."""


@dataclass(frozen=True)
class Pose:
    """Offset of a picture from its first position.

    Attributes:
        down: Downward shift in heights of the frame.
        across: Shift to the right in heights of the frame.
        zoom: Factor on the size.
        angle: Angle in radians.
    """

    down: float = 0.0
    across: float = 0.0
    zoom: float = 1.0
    angle: float = 0.0


def draw_path(random: np.random.Generator, frames: int, still: float = STILL) -> list[Pose]:
    """Draw one pose for each of ``frames`` frames; the first is no motion.

    Args:
        random: Source of the random numbers.
        frames: Length of the path.
        still: Share of the paths without motion.
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


def pose_at(path: Sequence[Pose], time: float) -> Pose:
    """Interpolate a path at a time in frames; before its start and after its end it is constant."""
    time = min(max(time, 0.0), len(path) - 1.0)
    before = path[int(time)]
    after = path[min(int(time) + 1, len(path) - 1)]
    share = time - int(time)
    return Pose(*(a + share * (b - a) for a, b in zip(astuple(before), astuple(after), strict=True)))


def draw_times(random: np.random.Generator, frames: int, stops: float = STOPS) -> list[float]:
    """Draw the time on a path, in frames, for each frame: a share of ``stops`` stands still for a while."""
    times = np.arange(frames, dtype=float)
    if random.uniform() < stops:
        start, length = random.uniform(0, 0.8) * frames, random.uniform(0.2, 0.6) * frames
        times = np.where(times < start, times, np.maximum(start, times - length))
    return [float(time) for time in times]

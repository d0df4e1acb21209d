"""Adaptation of the quality to the time available for each frame, to hold the frame rate.

The thresholds and times are choices, measured together: with them a live session at 720p held 29 of 30 frames
a second (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cleanplate.models.config import ModelConfig
from cleanplate.router import Refine

FULL, ROOMY = 0.95, 0.65
"""Shares of the frame period: keying above the first is too slow, below the second it can be finer. A choice:
the gap keeps the quality from alternating between neighbouring levels."""

PATIENCE = {"down": 0.5, "up": 4.0}
"""Seconds for which that must last before the quality changes."""

LONGEST_PATIENCE = 120.0
"""Longest wait in seconds before a step up that had to be taken back repeatedly."""

SETTLING_SECONDS = 0.3
"""Seconds after a change in which durations are ignored, as the first frames of another size are slow."""

STARTING_SECONDS = 1.0
"""Seconds after a new plate in which durations are ignored, as its registration delays the first frame."""

LONGEST_BUSY = 3.0
"""Upper limit of one frame's duration in frame periods, so that a single delay changes little."""

SMOOTHING = 0.15
"""Weight of the newest frame in the mean. A choice: some seven frames, a quarter of a second."""

_LEAST_SCALE = 0.125

# Finest first: factor on the scale, and share of the refined pixels (None: the model's own rule). Refinement
# costs most, but edges are most visible; so the levels reduce first refinement, then the network's size, then
# refinement to zero.
_STEPS = ((1.0, None), (1.0, 0.03), (1.0, 0.015), (0.75, 0.015), (0.75, 0.005), (0.75, 0.0), (0.6, 0.0))


@dataclass(frozen=True)
class Quality:
    """Quality of keying: the arguments of :meth:`cleanplate.Keyer.tune`."""

    scale: float | str
    refine: str | Refine


AUTO = Quality("auto", "auto")
"""The model's default quality."""


def find_levels(config: ModelConfig, height: int, width: int) -> list[Quality]:
    """List the levels of quality for a model and a size of frames, the finest first."""
    levels = []
    for factor, share in _STEPS:
        if config.target_long_side is not None:
            scale = config.default_scale(height, width, factor)
        else:
            scale = factor * config.default_scale(height, width)
        refine: str | Refine = "auto"
        if share is not None:
            refine = Refine("sampling", float(round(share * height * width))) if share else Refine("off")
        levels.append(Quality(max(_LEAST_SCALE, scale), refine))
    return list(dict.fromkeys(levels))


class Pace:
    """Chooses a level from the time that keying takes.

    It steps down as soon as frames are missed, and up only after a wait; the wait grows with each step up
    that had to be taken back.

    Args:
        levels: Levels of quality, the finest first.
        period_seconds: Time between two frames of the camera.
    """

    def __init__(self, levels: Sequence[Quality], period_seconds: float) -> None:
        self._levels = levels
        self._period = period_seconds
        self._patience = [PATIENCE["up"]] * len(levels)
        self._busy: float | None = None
        self._since: float | None = None
        self._step = 0
        self._settled: float | None = None
        self.level = 0

    @property
    def quality(self) -> Quality:
        """Quality of the current level."""
        return self._levels[self.level]

    def start(self) -> None:
        """Ignore the next durations, as another plate is used from the next frame on."""
        self._busy = self._since = self._settled = None

    def note(self, busy_seconds: float, now_seconds: float) -> Quality | None:
        """Add the duration of a frame at a time; returns another quality when it should change."""
        if self._settled is None:
            self._settled = now_seconds + STARTING_SECONDS
        if now_seconds < self._settled:
            return None
        busy_seconds = min(busy_seconds, LONGEST_BUSY * self._period)
        before = busy_seconds if self._busy is None else self._busy
        self._busy = before + SMOOTHING * (busy_seconds - before)
        load = self._busy / self._period
        if load > FULL:
            step = 1
        elif load < ROOMY:
            step = -1
        else:
            step = 0
        level = self.level + step
        if not step or not 0 <= level < len(self._levels):
            self._since = None
            return None
        if self._since is None or self._step != step:
            self._since, self._step = now_seconds, step
        patience = PATIENCE["down"] if step > 0 else self._patience[level]
        if now_seconds - self._since < patience:
            return None
        if step > 0:
            self._patience[self.level] = min(LONGEST_PATIENCE, 2 * self._patience[self.level])
        self.level = level
        self._busy = self._since = None
        self._settled = now_seconds + SETTLING_SECONDS
        return self.quality

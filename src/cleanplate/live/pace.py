"""Holding the rate: how finely a frame is keyed follows how much time there is for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cleanplate.models.config import ModelConfig
from cleanplate.router import Refine

FULL, ROOMY = 0.95, 0.65
"""Shares of the time between two frames: above the first keying is too slow, below the second is room."""

PATIENCE = {"down": 0.5, "up": 4.0}
"""Seconds for which it has to be so."""

LONGEST_PATIENCE = 120.0
"""For a step up that was taken back before, again and again."""

SETTLING_SECONDS = 0.3
"""After a change, in which nothing is judged: the first frames at another size are slow."""

STARTING_SECONDS = 1.0
"""After a new plate, whose fit the first frame waits for."""

LONGEST_BUSY = 3.0
"""Times the time there is, that one frame counts at most: a hiccup is no load."""

SMOOTHING = 0.15
"""Weight of the newest frame in the mean."""

_LEAST_SCALE = 0.125

# Finer first: factor on the scale's long side, and the share of the pixels that is refined (None: the model's
# own way). Refining costs most, but edges are what people look at; then the network's size, then all edges.
_STEPS = ((1.0, None), (1.0, 0.03), (1.0, 0.015), (0.75, 0.015), (0.75, 0.005), (0.75, 0.0), (0.6, 0.0))


@dataclass(frozen=True)
class Quality:
    """How finely frames are keyed: the arguments of :meth:`cleanplate.Keyer.tune`."""

    scale: float | str
    refine: str | Refine


AUTO = Quality("auto", "auto")
"""The model's own choice."""


def find_levels(config: ModelConfig, height: int, width: int) -> list[Quality]:
    """The levels for a model and a size of frames, the finest first."""
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

    Down at once when frames are being missed, up only after a while, and more and more reluctantly where that
    has not lasted.

    Args:
        levels: The finest first.
        period_seconds: Between two frames of the camera.
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
        """What the present level means."""
        return self._levels[self.level]

    def start(self) -> None:
        """Hear that another plate is used from the next frame on."""
        self._busy = self._since = self._settled = None

    def note(self, busy_seconds: float, now_seconds: float) -> Quality | None:
        """Hear how long a frame took, and when; gives another quality when it is time for one."""
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

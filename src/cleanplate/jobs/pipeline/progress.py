"""Progress of a run: position, rate and bottleneck."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cleanplate.jobs.pipeline.stages import PipelineStage

WINDOW_SECONDS = 5.0
"""The bottleneck is looked for in this much of the past."""

LEAST_SECONDS = 0.5
"""A shorter past tells nothing."""


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        frames: Frames written to every sink, those of an earlier run included.
        total: The source's estimate of how many there are, where it has one.
        seconds: Since this run began.
        doing: What the frames are read for: ``keying``, ``building`` the plate before it, or ``joining`` the
            segments after it.
        resumed: Frames that an earlier run had done.
        video_seconds: How much of the clip this run has written; None without times.
        bottleneck: The stage that the others wait for: ``reading``, ``keying``, ``compositing``,
            ``writing cut.mov``; None as long as it is not known.
    """

    frames: int
    total: int | None
    seconds: float
    doing: str = "keying"
    resumed: int = 0
    video_seconds: float | None = None
    bottleneck: str | None = None

    @property
    def fps(self) -> float:
        """Frames per second, on average since this run began."""
        return (self.frames - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def speed(self) -> float | None:
        """Seconds of video per second: 1 is real time."""
        if self.video_seconds is None or self.seconds <= 0:
            return None
        return self.video_seconds / self.seconds

    @property
    def seconds_left(self) -> float | None:
        """None while nothing is known to extrapolate from."""
        if self.total is None or self.frames <= self.resumed:
            return None
        return max(self.total - self.frames, 0) / self.fps


class Bottleneck:
    """Finds the stage that waits least: the others have to wait for it."""

    def __init__(self, stages: Sequence[PipelineStage]) -> None:
        self._stages = stages
        self._past: deque[tuple[float, list[float]]] = deque()

    def look(self) -> str | None:
        """The stage's name, judged by the last seconds; to be called several times a second."""
        now = time.perf_counter()
        waited = [stage.waited(now) for stage in self._stages]
        self._past.append((now, waited))
        while len(self._past) > 2 and now - self._past[1][0] > WINDOW_SECONDS:
            self._past.popleft()
        began, before = self._past[0]
        if now - began < LEAST_SECONDS:
            return None
        idle = [after - earlier for after, earlier in zip(waited, before, strict=True)]
        return self._stages[idle.index(min(idle))].name

"""Progress of a run: position, rate and bottleneck."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cleanplate.jobs.pipeline.stages import PipelineStage

WINDOW_SECONDS = 5.0
"""Time over which the bottleneck is measured."""

LEAST_SECONDS = 0.5
"""Shortest time for a measurement of the bottleneck."""


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        frames: Frames written to every sink, those of an earlier run included.
        total: The source's estimate of the number of frames; None without one.
        seconds: Time since the start of this run.
        doing: Phase of the run: ``keying``, ``building`` or ``matching`` the plate before it, or
            ``joining`` the segments after it.
        resumed: Frames of an earlier run.
        video_seconds: Length of the video that this run has written; None without times.
        bottleneck: The slowest stage: ``reading``, ``keying``, ``compositing``,
            ``writing cut.mov``; None until it is known.
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
        """Estimate of the time left; None without data for it."""
        if self.total is None or self.frames <= self.resumed:
            return None
        return max(self.total - self.frames, 0) / self.fps


class Bottleneck:
    """Finds the slowest stage, which is the one that waits least."""

    def __init__(self, stages: Sequence[PipelineStage]) -> None:
        self._stages = stages
        self._past: deque[tuple[float, list[float]]] = deque()

    def look(self) -> str | None:
        """Name of the slowest stage during the last seconds; to be called several times a second."""
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

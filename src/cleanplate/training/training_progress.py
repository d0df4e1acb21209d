"""How far a run has come, and how the user is told."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cleanplate.training.journal import Journal
from cleanplate.training.settings import Settings

CURVE_STEPS = 20
"""Steps between two points of TensorBoard's curves of the loss."""


class Listener(Protocol):
    """Who is told how it goes; the command line's ``Reporter`` is one."""

    def note(self, text: str) -> None:
        """What the user should know."""

    def progress(self, text: str) -> None:
        """How far it is, many times a minute."""


class Silence:
    """A listener that nobody hears."""

    def note(self, text: str) -> None:
        pass

    def progress(self, text: str) -> None:
        pass


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        stage: Its name.
        step: Steps taken in all stages.
        stage_step: Steps taken in this one.
        stage_began: What was done, in the plan's unit (seconds or steps), when the stage began.
        batches: Taken from this stage's stream by all processes.
        spent: Seconds, in all runs.
        best: Least MAD of this stage.
        caution: Factor on the learning rate; halved at each rollback.
        rollbacks: How many there were.
    """

    stage: str
    step: int = 0
    stage_step: int = 0
    stage_began: float = 0.0
    batches: int = 0
    spent: float = 0.0
    best: float = math.inf
    caution: float = 1.0
    rollbacks: int = 0


class Timer:
    """Says when it is time again."""

    def __init__(self, minutes: float, now: float) -> None:
        self._seconds, self._last = 60 * minutes, now

    def at(self, now: float) -> bool:
        """Whether the interval has passed since the last time this said yes."""
        due = now - self._last >= self._seconds
        if due:
            self._last = now
        return due


class Speedometer:
    """The line of progress and the curves of the loss; numbers leave the device when they are shown only."""

    def __init__(self, settings: Settings, journal: Journal | None, say: Listener, pictures: float) -> None:
        self._settings, self._journal, self._say, self._pictures = settings, journal, say, pictures
        self._losses: dict[str, Tensor] = {}
        self._shown, self._steps, self._per_second = time.monotonic(), 0, 0.0
        self.mad = math.nan

    def losses(self) -> dict[str, float]:
        """Running means of the loss's terms."""
        return {name: float(value) for name, value in self._losses.items()}

    def passed(self, progress: Progress, terms: dict[str, Tensor], rate: float) -> None:
        """Take note of a step."""
        for name, value in terms.items():
            self._losses[name] = torch.lerp(self._losses.get(name, value), value, 0.02)
        if self._journal is None:
            return
        self._steps += 1
        if progress.step % CURVE_STEPS == 0:
            curves = {f"{progress.stage}/loss/{name}": value for name, value in self.losses().items()}
            self._journal.curves(progress.step, {**curves, f"{progress.stage}/rate": rate})
        passed = time.monotonic() - self._shown
        if passed >= 1:
            self._per_second = self._steps / passed
            self._shown, self._steps = time.monotonic(), 0
            self._say.progress(self._line(progress))

    def _line(self, progress: Progress) -> str:
        settings = self._settings
        if settings.steps is None:
            left = 60 * (settings.minutes or 0) - progress.spent
        else:
            left = (settings.steps - progress.step) / max(self._per_second, 1e-9)
        mad = "" if math.isnan(self.mad) else f", MAD {1e3 * self.mad:.2f}e-3"
        return (
            f"{progress.stage}: step {progress.step}, {self._per_second * self._pictures:.1f} pictures/s, "
            f"loss {sum(self.losses().values()):.4f}{mad}, {left / 60:.0f} min left"
        )

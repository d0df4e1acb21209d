"""Progress of a run, and its display."""

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
"""Steps between two points of the loss curves in TensorBoard."""


class Listener(Protocol):
    """Receiver of notes and progress; the command line's ``Reporter`` is one."""

    def note(self, text: str) -> None:
        """Receive a note for the user."""

    def progress(self, text: str) -> None:
        """Receive the line of progress, many times a minute."""


class Silence:
    """A listener that ignores all messages."""

    def note(self, text: str) -> None:
        pass

    def progress(self, text: str) -> None:
        pass


@dataclass
class TrainingProgress:
    """Progress of a run.

    Attributes:
        stage: Name of the current stage.
        step: Steps taken in all stages.
        stage_step: Steps taken in this stage.
        stage_began: Spent budget at the start of the stage, in seconds or steps.
        batches: Batches of this stage's stream that all processes have taken.
        spent: Seconds in all runs.
        best: Smallest MAD of this stage.
        caution: Factor on the learning rate; halved at each rollback.
        rollbacks: Number of rollbacks.
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
    """Timer of an interval."""

    def __init__(self, minutes: float, now: float) -> None:
        self._seconds, self._last = 60 * minutes, now

    def at(self, now: float) -> bool:
        """Tell whether the interval has passed since the last time that the answer was yes."""
        due = now - self._last >= self._seconds
        if due:
            self._last = now
        return due


class Speedometer:
    """Line of progress and loss curves; numbers leave the device only when they are shown."""

    def __init__(self, settings: Settings, journal: Journal | None, say: Listener, pictures: float) -> None:
        self._settings, self._journal, self._say, self._pictures = settings, journal, say, pictures
        self._losses: dict[str, Tensor] = {}
        self._shown, self._steps, self._per_second = time.monotonic(), 0, 0.0
        self.mad = math.nan

    def losses(self) -> dict[str, float]:
        """Compute running means of the loss's terms."""
        return {name: float(value) for name, value in self._losses.items()}

    def passed(self, progress: TrainingProgress, terms: dict[str, Tensor], rate: float) -> None:
        """Add a step."""
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

    def _line(self, progress: TrainingProgress) -> str:
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

"""Rates and latencies of a run of any length, in constant memory."""

from __future__ import annotations

import time
from array import array
from collections import deque

RECENT_SECONDS = 2.0
"""Seconds of the past that the figures in the window cover."""

_STEP_SECONDS = 0.0005
_STEPS = 10_000


class Meter:
    """Statistics of durations; safe for one writer and many readers."""

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _STEPS))
        self._recent: deque[tuple[float, float]] = deque(maxlen=256)
        self.count = 0
        self.longest_seconds = 0.0

    def add(self, seconds: float) -> None:
        """Add a duration that has just ended."""
        self._counts[min(_STEPS - 1, max(0, int(seconds / _STEP_SECONDS)))] += 1
        self.count += 1
        self.longest_seconds = max(self.longest_seconds, seconds)
        self._recent.append((time.monotonic(), seconds))

    def share(self, share: float) -> float:
        """Compute a quantile of the durations in seconds, to half a millisecond; 0 without any."""
        left = share * self.count
        for step, count in enumerate(self._counts):
            left -= count
            if count and left <= 0:
                return (step + 0.5) * _STEP_SECONDS
        return 0.0

    @property
    def recent_rate(self) -> float:
        """Recent number of events per second."""
        recent = self._look_back()
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(1e-6, recent[-1][0] - recent[0][0])

    @property
    def recent_seconds(self) -> float:
        """Recent mean duration in seconds; 0 without any."""
        recent = self._look_back()
        return sum(seconds for _, seconds in recent) / len(recent) if recent else 0.0

    def _look_back(self) -> list[tuple[float, float]]:
        since = time.monotonic() - RECENT_SECONDS
        return [entry for entry in list(self._recent) if entry[0] >= since]

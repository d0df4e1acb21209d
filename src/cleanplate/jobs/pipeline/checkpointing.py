"""Checkpoints during a run: the keyer's state and the finished segments of each sink."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from cleanplate.frame import Frame
from cleanplate.media.contract import Segmented, Sink


class Saving(Protocol):
    """Saves the state that a resumed run needs.

    Attributes:
        every: Frames of a segment.
        start: Frames that an earlier run has finished; the source begins after them.
    """

    every: int
    start: int

    def take(self, frames: int, following: Frame | None) -> None:
        """Write the keyer's state after so many frames, which becomes valid with :meth:`commit`.

        Called by the keyer's stage, between two frames; ``following`` is the next, None after the last.
        """
        ...

    def commit(self, frames: int) -> None:
        """Make the state after so many frames valid, because all sinks have finished them."""
        ...


class Saver:
    """Commits a state as soon as every sink has finished the frames before it.

    The stages of a run call it from their threads.
    """

    def __init__(self, saving: Saving, sinks: Sequence[Sink]) -> None:
        self._saving = saving
        self._sinks = sinks
        self._lock = threading.Lock()
        self._finished = [saving.start] * len(sinks)
        self._taken: list[int] = []

    def is_due(self, frame: Frame) -> bool:
        """Tell whether a segment ends before this frame and the next begins with it."""
        return frame.index > self._saving.start and frame.index % self._saving.every == 0

    def take(self, frames: int, following: Frame | None) -> None:
        """Take the keyer's state after so many frames."""
        self._saving.take(frames, following)
        with self._lock:
            self._taken.append(frames)

    def cut(self, number: int) -> Callable[[], None]:
        """End a segment of one of the sinks; returns the function that finishes it."""
        sink = self._sinks[number]
        return sink.cut() if isinstance(sink, Segmented) else lambda: None

    def finished(self, number: int, frames: int) -> None:
        """Record that one of the sinks has finished so many frames."""
        with self._lock:
            self._finished[number] = frames
            ready = [taken for taken in self._taken if taken <= min(self._finished)]
            self._taken = self._taken[len(ready) :]
            if ready:
                self._saving.commit(ready[-1])

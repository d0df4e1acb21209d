"""Checkpoints of a run: taken between two frames, valid when all sinks have finished what is before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from cleanplate.checkpoint.record import Checkpoint, Work
from cleanplate.frame import Frame
from cleanplate.media.base import Sink
from cleanplate.media.segments import Segment, SegmentedSink


class Remembering(Protocol):
    """What remembers something from frame to frame."""

    def snapshot(self) -> object:
        """All that it remembers, as :func:`cleanplate.checkpoint.state.write_state` can write it."""
        ...

    def restore(self, snapshot: Any, /) -> None:
        """Go on from there."""
        ...


class Keeping:
    """The :class:`cleanplate.pipeline.Saving` of a job.

    Args:
        work: Where its files are.
        checkpoint: How far the job has come.
        every: Frames of a segment.
        known: Objects that are there again when the job is resumed, by name: the plate.
        sinks: The job's.
    """

    def __init__(
        self,
        work: Work,
        checkpoint: Checkpoint,
        every: int,
        known: Mapping[str, object],
        sinks: Sequence[Sink],
    ) -> None:
        self.every = every
        self.start = checkpoint.frames
        self.checkpoint = checkpoint
        self._work = work
        self._known = known
        self._parts: dict[str, Remembering] = {}
        self._sinks = [sink for sink in sinks if isinstance(sink, SegmentedSink)]
        self._taken: dict[int, Checkpoint] = {}

    def add(self, name: str, part: Remembering) -> None:
        """Let this remember, too, over an interruption."""
        self._parts[name] = part

    def restore(self) -> None:
        """Have everything that was added go on from where the job has come to.

        Raises:
            DamagedError: What it remembered cannot be read.
        """
        remembered = self._work.recall(self.checkpoint, self._known)
        if remembered is not None:
            for name, part in self._parts.items():
                part.restore(remembered[name])

    def take(self, frames: int, following: Frame | None) -> None:
        state = {name: part.snapshot() for name, part in self._parts.items()}
        checksum = self._work.remember(frames, state, self._known)
        self._taken[frames] = replace(
            self.checkpoint,
            frames=frames,
            pts=None if following is None else following.pts,
            complete=following is None,
            checksum=checksum,
        )

    def commit(self, frames: int) -> None:
        segments = {sink.path.name: _first(sink.finished, frames) for sink in self._sinks}
        self.checkpoint = replace(self._taken.pop(frames), segments=segments)
        self._work.write(self.checkpoint)
        for taken in list(self._taken):  # a copy: the keyer's stage adds to it
            if taken < frames:
                del self._taken[taken]


def _first(segments: Sequence[Segment], frames: int) -> list[Segment]:
    """The segments that so many frames fill: a sink may be ahead of the others."""
    filled, first = 0, []
    for segment in segments:
        if filled < frames:
            first.append(segment)
        filled += segment.frames
    return first

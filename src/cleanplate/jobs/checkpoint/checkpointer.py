"""Checkpoints of a run: taken between two frames, valid when all sinks have finished the frames before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from cleanplate.frame import Frame
from cleanplate.jobs.checkpoint.record import Checkpoint, DamagedError, Moment, Work
from cleanplate.media.contract import Sink
from cleanplate.media.video.segments import Segment, SegmentedSink


class Remembering(Protocol):
    """Object with a state from frame to frame."""

    def snapshot(self) -> object:
        """The state, in a form for :func:`cleanplate.jobs.checkpoint.pickled_state.write_state`."""
        ...

    def restore(self, snapshot: Any, /) -> None:
        """Continue from a snapshot."""
        ...


class Keeping:
    """The :class:`cleanplate.jobs.pipeline.Saving` of a job.

    Args:
        work: Files of the job.
        checkpoint: Progress of the job.
        every: Frames of a segment.
        sinks: Sinks of the job.
    """

    def __init__(
        self,
        work: Work,
        checkpoint: Checkpoint,
        every: int,
        sinks: Sequence[Sink],
    ) -> None:
        self.every = every
        self.start = checkpoint.frames
        self.checkpoint = checkpoint
        self._work = work
        self._parts: dict[str, Remembering] = {}
        self._sinks = [sink for sink in sinks if isinstance(sink, SegmentedSink)]
        self._taken: dict[int, Checkpoint] = {}

    def add(self, name: str, part: Remembering) -> None:
        """Add a part whose state is saved and restored."""
        self._parts[name] = part

    def restore(self, at: Moment | None = None, *, without: Sequence[str] = ()) -> None:
        """Restore the state of all added parts at the last checkpoint, or at an earlier moment.

        Args:
            at: The moment; None for the last.
            without: Names of parts that are not restored.

        Raises:
            DamagedError: The saved state cannot be read, or belongs to another job.
        """
        remembered = self._work.recall(at or self.checkpoint)
        if remembered is not None:
            self.put(remembered, without=without)

    def look(self) -> dict[str, object]:
        """The present state of all added parts."""
        return {name: part.snapshot() for name, part in self._parts.items()}

    def put(self, remembered: Any, *, without: Sequence[str] = ()) -> None:
        """Restore the state of all added parts from that of :meth:`look`.

        Raises:
            DamagedError: It belongs to another job.
        """
        try:
            for name, part in self._parts.items():
                if name not in without:
                    part.restore(remembered[name])
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise DamagedError(
                f"The checkpoint of {self._work.path.name} is damaged: {error}.",
                "start again with --overwrite",
            ) from error

    def replace_segments(self, path: Path, segments: Mapping[int, Segment]) -> None:
        """Replace damaged segments in the record by new ones."""
        for sink in self._sinks:
            if sink.path == path:
                for number, segment in segments.items():
                    sink.finished[number] = segment
        listed = list(self.checkpoint.segments[path.name])
        for number, segment in segments.items():
            listed[number] = segment
        self.checkpoint = replace(self.checkpoint, segments={**self.checkpoint.segments, path.name: listed})
        self._work.write(self.checkpoint)

    def take(self, frames: int, following: Frame | None) -> None:
        checksum = self._work.remember(frames, self.look())
        self._taken[frames] = replace(
            self.checkpoint,
            frames=frames,
            pts=None if following is None else following.pts,
            complete=following is None,
            checksum=checksum,
        )

    def commit(self, frames: int) -> None:
        segments = {sink.path.name: _first(sink.finished, frames) for sink in self._sinks}
        moments = self.checkpoint.moments
        if self.checkpoint.checksum is not None:
            last = Moment(self.checkpoint.frames, self.checkpoint.pts, self.checkpoint.checksum)
            moments = thin_out([*moments, last], frames, self.every)
        self.checkpoint = replace(self._taken.pop(frames), segments=segments, moments=moments)
        self._work.write(self.checkpoint)
        for taken in list(self._taken):  # a copy: the keyer's stage adds to it
            if taken < frames:
                del self._taken[taken]


def thin_out(moments: Sequence[Moment], frames: int, every: int) -> list[Moment]:
    """Choose the moments to keep after so many frames: about two for each doubling of the distance back.

    So their size on disk grows with the logarithm of the clip's length, and the repair of a damaged segment
    costs at most as much work as the frames after it.
    """
    kept = []
    for moment in moments:
        number = moment.frames // every
        back = -(-frames // every) - number
        if back < 2 or number % (1 << (back.bit_length() - 2)) == 0:
            kept.append(moment)
    return kept


def _first(segments: Sequence[Segment], frames: int) -> list[Segment]:
    """The segments of the first ``frames`` frames, because a sink may be ahead of the others."""
    filled, first = 0, []
    for segment in segments:
        if filled < frames:
            first.append(segment)
        filled += segment.frames
    return first

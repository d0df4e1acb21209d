"""Repair of damaged segments of an interrupted job: each is keyed again from the last state before it."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cleanplate.frame import AnyArray, Frame, Matte
from cleanplate.jobs.checkpoint import Checkpoint, DamagedError, Keeping, Moment, Work
from cleanplate.jobs.pipeline import Output, Progress, run
from cleanplate.media import Encoding, Sink, Source, SourceInfo
from cleanplate.media.video.segments import Segment, open_segment, segment_path
from cleanplate.media.video.video_sink import VideoSink


@dataclass(frozen=True)
class Again:
    """Functions that key and render frames of a job once more.

    Attributes:
        open_source: Opens the clip once more at each call.
        keyer: The job's.
        prepare: As of :func:`cleanplate.jobs.pipeline.pipeline`.
        settle: As of :func:`cleanplate.jobs.pipeline.pipeline`.
        finish: As of :func:`cleanplate.jobs.pipeline.pipeline`.
        make_output: Makes the output for a layer's sink.
        layers: The layer of each result.
        encodings: By layer.
        on_progress: Called about ten times a second.
    """

    open_source: Callable[[], Source]
    keyer: Callable[[Frame], Matte]
    prepare: Callable[[Frame], Frame] | None
    settle: Callable[[Matte], Matte]
    finish: Callable[[Matte], Matte]
    make_output: Callable[[str, Sink], Output]
    layers: Mapping[Path, str]
    encodings: Mapping[str, Encoding]
    on_progress: Callable[[Progress], None] | None


def repair(
    damaged: Mapping[Path, Sequence[int]],
    keeping: Keeping,
    work: Work,
    again: Again,
    on_note: Callable[[str], None],
) -> None:
    """Key damaged segments again. The caller has to restore the keyer afterwards.

    Args:
        damaged: Numbers of segments, by the result.
        keeping: The job's, with all parts that have a state; it gets the new segments.
        work: The job's files.
        again: The functions that key and render.
        on_note: Receives a note for the repaired frames.

    Raises:
        CleanplateError: As raised by keying and writing; DamagedError: the clip has fewer frames than before.
    """
    checkpoint = keeping.checkpoint
    passes: dict[Moment | None, dict[Path, list[int]]] = {}
    for path, numbers in damaged.items():
        ends = _ends(checkpoint, path)
        for number in numbers:
            begin = 0 if number == 0 else ends[number - 1]
            on_note(f"Frames {begin} to {ends[number] - 1} of {path.name} are damaged and are keyed again.")
            moment = _find_moment(checkpoint, work, begin)
            passes.setdefault(moment, {}).setdefault(path, []).append(number)
    # A repair from the first frame needs a keyer without a state, so it is the first.
    for moment in sorted(passes, key=lambda moment: 0 if moment is None else moment.frames):
        if moment is not None:
            keeping.restore(moment, without=["report"])
        _make_again(passes[moment], moment, keeping, again)


def _make_again(
    damaged: Mapping[Path, Sequence[int]], moment: Moment | None, keeping: Keeping, again: Again
) -> None:
    """Key from a moment to the end of the last damaged segment, and write the damaged ones."""
    checkpoint = keeping.checkpoint
    end = max(_ends(checkpoint, path)[number] for path, numbers in damaged.items() for number in numbers)
    with _Part(again.open_source(), end) as source:
        if moment is not None and moment.pts is not None:
            source.start_at(moment.frames, moment.pts)
        sinks = [
            _Patch(path, source.info, again.layers[path], again.encodings[again.layers[path]], ends, numbers)
            for path, numbers in damaged.items()
            for ends in [_ends(checkpoint, path)]
        ]
        run(
            source,
            again.keyer,
            [again.make_output(again.layers[sink.path], sink) for sink in sinks],
            prepare=again.prepare,
            settle=again.settle,
            finish=again.finish,
            on_progress=again.on_progress,
            on_note=lambda _: None,  # the rest of the job tells the same
        )
    for sink in sinks:
        listed = checkpoint.segments[sink.path.name]
        for number in damaged[sink.path]:
            if number not in sink.made or sink.made[number].frames != listed[number].frames:
                raise DamagedError(
                    f"{segment_path(sink.path, number)} cannot be keyed again: the frames of the clip have "
                    "changed.",
                    "start again with --overwrite",
                )
        keeping.replace_segments(sink.path, sink.made)


def _ends(checkpoint: Checkpoint, path: Path) -> list[int]:
    """The frame after each finished segment of a result."""
    return list(itertools.accumulate(segment.frames for segment in checkpoint.segments[path.name]))


def _find_moment(checkpoint: Checkpoint, work: Work, begin: int) -> Moment | None:
    """The last moment before a frame with an intact state; None: the first frame."""
    before = [moment for moment in checkpoint.moments if moment.frames <= begin]
    return next((moment for moment in reversed(before) if work.has_intact(moment)), None)


class _Part(Source):
    """Part of a source, up to a frame."""

    def __init__(self, source: Source, end: int) -> None:
        self._source, self._end = source, end
        self.info, self.notes = source.info, source.notes

    def start_at(self, index: int, pts: int) -> None:
        self._source.start_at(index, pts)

    def __iter__(self) -> Iterator[Frame]:
        return itertools.takewhile(lambda frame: frame.index < self._end, self._source)

    def close(self) -> None:
        self._source.close()


class _Patch(Sink):
    """Sink that gets all frames and writes only some segments.

    Attributes:
        made: The written segments.
    """

    def __init__(
        self,
        path: Path,
        like: SourceInfo,
        layer: str,
        encoding: Encoding,
        ends: Sequence[int],
        numbers: Sequence[int],
    ) -> None:
        self.path = path
        self.notes: list[str] = []
        self.made: dict[int, Segment] = {}
        self._like, self._layer, self._encoding = like, layer, encoding
        self._ends, self._numbers = ends, set(numbers)
        self._open: tuple[int, VideoSink] | None = None
        self._frames = 0

    def write(self, pixels: AnyArray, at: Frame) -> None:
        number = bisect.bisect_right(self._ends, at.index)
        if self._open is not None and self._open[0] != number:
            self._end_segment()
        if number not in self._numbers:
            return
        if self._open is None:
            file = segment_path(self.path, number)
            self._open = number, open_segment(file, self._like, self._layer, self._encoding)
            self._frames = 0
        self._open[1].write(pixels, at)
        self._frames += 1

    def _end_segment(self) -> None:
        if self._open is not None:
            (number, sink), self._open = self._open, None
            sink.close()
            self.made[number] = Segment.of(sink.path, self._frames)

    def close(self) -> None:
        self._end_segment()

    def abort(self) -> Path | None:
        if self._open is not None:
            left = self._open[1].abort()
            if left is not None:
                left.unlink(missing_ok=True)
        return None

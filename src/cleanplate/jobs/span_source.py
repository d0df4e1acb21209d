"""A span of a clip as a source, whose frames keep their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from cleanplate.errors import InputError
from cleanplate.frame import Frame
from cleanplate.jobs.checkpoint import Mark
from cleanplate.media import Source
from cleanplate.media.spans import clock_text

_HINT = "key it in one run: leave out --split-seconds, and add --locked-off"


class SpanSource(Source):
    """The frames of a span, with the times of the whole clip and indices from 0.

    The plan counts frames by the packets of the clip. Each span checks that it begins with the planned frame
    and has the planned number of frames; so all spans together have every frame of the clip once. Damage is
    refused unless the span is decoded from the start of the clip: a decoder conceals it with the pictures
    that it has.

    Args:
        source: The whole clip; closed with the span.
        begin: The first frame.
        length: Number of frames.
        end_pts: Time of the first frame after the span; None: the span ends with the clip.
    """

    def __init__(self, source: Source, begin: Mark, length: int, end_pts: int | None) -> None:
        self._source, self._begin, self._length = source, begin, length
        self._first = 0
        self._moved = False
        self.info = replace(source.info, frame_count=length, first_index=begin.index)
        self.notes = source.notes
        if end_pts is not None:
            source.end_before(end_pts)

    def start_at(self, index: int, pts: int) -> None:
        self._source.start_at(self._begin.index + index, pts)
        self._first, self._moved = index, True

    def __iter__(self) -> Iterator[Frame]:
        if not self._moved and self._begin.index:
            self._source.start_at(self._begin.index, self._begin.pts)
        index, last = self._first, Fraction(0)
        for frame in self._source:
            if index == self._length:
                raise self._complaint("more")
            self._check_damage(frame.time_seconds)
            yield replace(frame, index=index)
            index += 1
            last = frame.time_seconds
        self._check_damage(last)
        if index < self._length:
            raise self._complaint("fewer")

    def _check_damage(self, near: Fraction) -> None:
        if self._source.met_damage and (self._moved or self._begin.index):
            raise InputError(
                f"{self.info.path.name} is damaged near {clock_text(near)}: decoding from the middle gives "
                "other pictures than decoding from the start.",
                _HINT,
            )

    def _complaint(self, amount: str) -> InputError:
        return InputError(
            f"{self.info.path.name} has {amount} frames from frame {self._begin.index} on than the list of "
            "its packets tells: the clip is damaged, or was changed.",
            _HINT,
        )

    def close(self) -> None:
        self._source.close()

"""Reading of animated WebP and AVIF, which FFmpeg's demuxers take for one picture; Pillow decodes them.

Animated GIF and PNG are read by FFmpeg, with exact times.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from cleanplate.errors import InputError
from cleanplate.frame import Frame
from cleanplate.media.contract import Reading, Source, SourceInfo
from cleanplate.media.files import check_readable
from cleanplate.media.spans import Span, clock_text

_TICK = Fraction(1, 1000)
"""Both formats are decoded with times in milliseconds."""

_UNTIMED_TICKS = 100
"""Time on screen of a frame whose duration is 0, as browsers show it."""

_FORMATS = ("WEBP", "AVIF")


@dataclass(frozen=True)
class _Place:
    """A frame's number in the file, its time and its time on screen, in milliseconds."""

    number: int
    start: int
    duration: int


def is_animation(path: Path) -> bool:
    """Tell by its first bytes whether a file is an animated WebP, or an AVIF with a sequence of pictures."""
    with suppress(OSError), path.open("rb") as file:
        start = file.read(32)
        animated_webp = start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X" and bool(start[20] & 2)
        return animated_webp or (start[4:8] == b"ftyp" and start[8:12] == b"avis")
    return False


class AnimationSource(Source):
    """A :class:`~cleanplate.media.contract.Source` over the frames of an animation of 8 bits.

    The frames are decoded twice: once for their durations, which the header lacks.

    Raises:
        InputError: The file cannot be read, or no frame of it lies in the span.
    """

    def __init__(self, path: Path, reading: Reading) -> None:
        check_readable(path, "a video")
        self.notes: list[str] = []
        self._path, self._damage = path, reading.damage
        try:
            self._image = Image.open(path, formats=_FORMATS)
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{path} is damaged or cut short: {str(error).rstrip('.')}.") from error
        try:
            places = self._measure()
            self._places = places if reading.span is None else self._cut(places, reading.span)
            self._describe()
        except BaseException:
            self._image.close()
            raise
        self._first_index = 0
        self._iterated = False

    def _measure(self) -> list[_Place]:
        places: list[_Place] = []
        count = getattr(self._image, "n_frames", 1)
        for number in range(count):
            if not self._load(number):
                break
            start = places[-1].start + places[-1].duration if places else 0
            duration = round(self._image.info.get("duration") or 0)
            places.append(_Place(number, start, duration or _UNTIMED_TICKS))
        if not places:
            raise InputError(f"Not one frame of {self._path} could be decoded.", "is the file complete?")
        if len(places) < count:
            sentence = f"{self._path.name} is damaged: {len(places)} of its {count} frames can be decoded."
            if self._damage == "stop":
                raise InputError(sentence)
            self.notes.append(sentence)
        return places

    def _load(self, number: int) -> bool:
        try:
            self._image.seek(number)
            self._image.load()
        except (OSError, EOFError, ValueError, SyntaxError):
            return False
        return True

    def _cut(self, places: list[_Place], span: Span) -> list[_Place]:
        """The frames of a span."""
        end = span.end_seconds
        kept = [
            place
            for place in places
            if place.start * _TICK >= span.start_seconds and (end is None or place.start * _TICK < end)
        ]
        if not kept:
            length = clock_text((places[-1].start + places[-1].duration) * _TICK)
            raise InputError(f"{self._path.name} lasts {length}; no frame of it begins in the range {span}.")
        return kept

    def _describe(self) -> None:
        places = self._places
        length = (places[-1].start + places[-1].duration - places[0].start) * _TICK
        self._has_alpha = self._image.has_transparency_data
        self.info = SourceInfo(
            path=self._path,
            height=self._image.height,
            width=self._image.width,
            frame_rate=(len(places) / length).limit_denominator(1001),
            time_base=_TICK,
            frame_count=len(places),
            duration_seconds=length,
            has_alpha=self._has_alpha,
        )

    def start_at(self, index: int, pts: int) -> None:
        zero = self._places[0].start
        if not 0 <= index < len(self._places) or self._places[index].start - zero != pts:
            raise InputError(
                f"{self._path.name} has no frame {index} at {clock_text(pts * _TICK)} any more.",
                "check whether the file was changed during the run",
            )
        self._first_index = index

    def __iter__(self) -> Iterator[Frame]:
        if self._iterated:
            raise RuntimeError("A source can be iterated once.")
        self._iterated = True
        zero = self._places[0].start
        for index, place in enumerate(self._places[self._first_index :], self._first_index):
            if not self._load(place.number):
                raise InputError(f"Frame {index} of {self._path} cannot be read any more.")
            pixels, alpha = np.array(self._image.convert("RGB")), None
            if self._has_alpha:
                rgba = np.array(self._image.convert("RGBA"))
                pixels, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
            yield Frame(pixels, place.start - zero, _TICK, place.duration, index, alpha=alpha)

    def close(self) -> None:
        self._image.close()

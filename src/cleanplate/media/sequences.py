"""Numbered pictures as a source and as a sink: ``name_%05d.png``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cleanplate.errors import InputError, OptionError, OutputError
from cleanplate.frame import Frame, Pixels
from cleanplate.media.base import Encoding, Reading, Sink, Source, SourceInfo
from cleanplate.media.depth import check_layer
from cleanplate.media.files import check_writable
from cleanplate.media.image_files import check_image_suffix, write_image
from cleanplate.media.images import read_image
from cleanplate.media.spans import Span, clock_text
from cleanplate.media.video_sink import CHANNELS

DEFAULT_FRAME_RATE = Fraction(25)

_NUMBER = re.compile(r"%0?(\d*)d")


def is_sequence(path: Path) -> bool:
    """Whether the file's name is a pattern such as ``name_%05d.png``."""
    return len(_NUMBER.findall(path.name)) == 1


def numbered_files(pattern: Path) -> dict[int, Path]:
    """The files that a pattern stands for, by their numbers, in their order."""
    before, _, after = _NUMBER.split(pattern.name)
    width = _NUMBER.findall(pattern.name)[0]
    # Like printf: at least so many digits, and no leading zeros beyond.
    digits = rf"\d{{{int(width or 1)}}}|[1-9]\d{{{int(width or 1)},}}"
    matches = re.compile(f"{re.escape(before)}({digits}){re.escape(after)}")
    found = {
        int(match.group(1)): entry
        for entry in (pattern.parent.iterdir() if pattern.parent.is_dir() else ())
        if (match := matches.fullmatch(entry.name))
    }
    return dict(sorted(found.items()))


class SequenceSource(Source):
    """A :class:`~cleanplate.media.base.Source` over numbered pictures, at a constant rate.

    A number that is missing leaves a gap in time, so that the rest stays where it was, and is noted.

    Raises:
        InputError: No file of that pattern, none in the span, or one that cannot be read or has another size
            than the first.
    """

    def __init__(self, pattern: Path, reading: Reading) -> None:
        self.notes: list[str] = []
        self._files = numbered_files(pattern)
        if not self._files:
            raise InputError(
                f"There are no pictures {pattern}.", "the number in the name has to have as many digits"
            )
        rate = reading.frame_rate or DEFAULT_FRAME_RATE
        if reading.span is not None:
            self._files = _within(reading.span, self._files, rate, pattern)
        self._damage = reading.damage
        first_number, first_file = next(iter(self._files.items()))
        # Of the first frame that iterating gives.
        self._first_index, self._first_number = 0, first_number
        first = read_image(first_file).pixels
        self._dtype = first.dtype
        length = max(self._files) - first_number + 1
        self.info = SourceInfo(
            path=pattern,
            height=first.shape[0],
            width=first.shape[1],
            bit_depth=16 if first.dtype == np.uint16 else 8,
            frame_rate=rate,
            time_base=1 / rate,
            frame_count=len(self._files),
            duration_seconds=length / rate,
            first_number=first_number,
        )
        missing = [n for n in range(first_number, first_number + length) if n not in self._files]
        if missing:
            self.notes.append(f"{pattern.name} has gaps: {_name_runs(missing)} missing.")

    def __iter__(self) -> Iterator[Frame]:
        first = next(iter(self._files))
        index = self._first_index
        damaged: list[int] = []
        for number, file in self._files.items():
            if number < self._first_number:
                continue
            try:
                pixels = read_image(file).pixels
            except InputError:
                if self._damage == "stop":
                    raise
                damaged.append(number)
                if self._damage == "drop":
                    continue
                pixels = self._last_good_before(number)
            if pixels.shape[:2] != (self.info.height, self.info.width):
                raise InputError(
                    f"{file} is {pixels.shape[1]}x{pixels.shape[0]}, but the sequence began with "
                    f"{self.info.width}x{self.info.height}."
                )
            if pixels.dtype != self._dtype:
                raise InputError(
                    f"{file} has {pixels.dtype} samples, but the sequence began with {self._dtype}."
                )
            yield Frame(pixels, number - first, self.info.time_base, 1, index)
            index += 1
        if damaged:
            done = "left out" if self._damage == "drop" else "the one before is shown again"
            self.notes.append(f"Of {self.info.path.name}, {_name_runs(damaged)} damaged; {done}.")

    def _last_good_before(self, number: int) -> Pixels:
        """Read anew, as the frame that it was given out with belongs to others."""
        for other in reversed([n for n in self._files if n < number]):
            with contextlib.suppress(InputError):
                return read_image(self._files[other]).pixels
        raise InputError(f"No picture before {self._files[number]} can be read any more.")

    def start_at(self, index: int, pts: int) -> None:
        number = next(iter(self._files)) + pts
        if number not in self._files or not 0 <= index <= list(self._files).index(number):
            raise InputError(
                f"{self.info.path.name} has no picture {number} as its frame {index} any more.",
                "were files added or taken away in between?",
            )
        self._first_index, self._first_number = index, number

    def close(self) -> None:
        """Nothing is held open."""


def _within(span: Span, files: dict[int, Path], rate: Fraction, pattern: Path) -> dict[int, Path]:
    """The files whose pictures are shown within a span that begins with the first of them."""
    first = next(iter(files))
    end = span.end_seconds
    found = {
        number: file
        for number, file in files.items()
        if span.start_seconds <= (number - first) / rate and (end is None or (number - first) / rate < end)
    }
    if not found:
        length = clock_text((max(files) - first + 1) / rate)
        raise InputError(
            f"{pattern.name} lasts {length} at {rate} fps; there is nothing of it within {span}."
        )
    return found


def _name_runs(numbers: list[int]) -> str:
    """``[3, 7, 8, 9]`` as "3, 7 to 9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    names = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs[:5]]
    return ", ".join(names) + (
        f" and {len(runs) - 5} more runs are" if len(runs) > 5 else " is" if len(numbers) == 1 else " are"
    )


class SequenceSink(Sink):
    """A :class:`~cleanplate.media.base.Sink` that writes one picture a frame.

    A sequence keeps its own numbers; the frames of a video are numbered by their index, from 0. Each picture
    is complete as soon as it is there, so there is no temporary name for the whole.
    """

    def __init__(
        self,
        pattern: Path,
        like: SourceInfo,
        *,
        layer: str,
        overwrite: bool,
        encoding: Encoding,
    ) -> None:
        if encoding.codec is not None:
            raise OptionError(
                f"A sequence is encoded as its suffix says and takes no codec, got '{encoding.codec}'."
            )
        check_image_suffix(pattern, alpha=layer == "cutout", quality=encoding.quality)
        check_writable(pattern, overwrite=overwrite)
        there = numbered_files(pattern)
        if there and not overwrite:
            raise OutputError(
                f"{next(iter(there.values()))} exists already.", "choose another name or allow overwriting"
            )
        self.path = pattern
        self.notes: list[str] = []
        self._like = like
        self._channels = CHANNELS[layer]
        self._encoding = encoding
        self._frames = 0
        if like.has_audio:
            self.notes.append(f"{pattern.name} is a sequence of pictures and has no sound.")

    def write(self, pixels: npt.NDArray[Any], at: Frame) -> None:
        check_layer(pixels, (self._channels,))
        if pixels.shape[:2] != (self._like.height, self._like.width):
            raise OptionError(
                f"{self.path.name} takes pictures of {self._like.width}x{self._like.height}, "
                f"got {pixels.shape[1]}x{pixels.shape[0]}."
            )
        first = self._like.first_number
        number = at.index if first is None else first + at.pts
        file = self.path.with_name(self.path.name % number)
        write_image(
            file,
            pixels,
            overwrite=True,
            quality=self._encoding.quality,
            premultiplied=self._encoding.premultiplied,
        )
        self._frames += 1

    def close(self) -> None:
        if not self._frames:
            raise OutputError(f"{self.path} was not written: it got no frame.")

    def abort(self) -> Path | None:
        if not self._frames:
            return None
        self.notes.append(f"The first {self._frames} pictures of {self.path} are there.")
        return self.path

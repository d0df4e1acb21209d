"""Numbered pictures as a source and as a sink: ``name_%05d.png``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from cleanplate.errors import InputError, OptionError, OutputError
from cleanplate.frame import AnyArray, Frame
from cleanplate.media.colour.bit_depth import check_layer
from cleanplate.media.colour.transfer import WHITE_NITS
from cleanplate.media.container_tags import Tags
from cleanplate.media.contract import CHANNELS, Encoding, Reading, Sink, Source, SourceInfo
from cleanplate.media.files import check_writable
from cleanplate.media.numbering import numbered_files
from cleanplate.media.spans import Span, clock_text
from cleanplate.media.stills.decoded_picture import Picture
from cleanplate.media.stills.exr import check_exr_encoding, check_light, describe_light, write_exr
from cleanplate.media.stills.image_reader import read_image
from cleanplate.media.stills.image_writer import check_image_suffix, write_image
from cleanplate.media.stills.picture_tags import PictureTags
from cleanplate.media.timecode import Timecode

DEFAULT_FRAME_RATE = Fraction(25)

TIMECODE_SUFFIXES = (".exr", ".dpx")
"""Pictures that hold a timecode."""

# Frames from the first to the last number: a year at 60 a second.
_LONGEST = 1 << 31


class SequenceSource(Source):
    """A :class:`~cleanplate.media.contract.Source` over numbered pictures, at a constant rate.

    A missing number leaves a gap in time, so that the other frames keep their times, and there is a note. The
    rate is the requested one, or the first picture's own (EXR, DPX), or 25.

    Raises:
        InputError: No file matches the pattern or lies in the span, or a file cannot be read or has another
            size than the first.
    """

    def __init__(self, pattern: Path, reading: Reading) -> None:
        self.notes: list[str] = []
        if pattern.is_dir():
            raise InputError(f"{pattern} is a folder.", f"name the pictures in it: {pattern}/name_%04d.png")
        self._files = numbered_files(pattern)
        if not self._files:
            raise InputError(
                f"There are no pictures {pattern}.",
                "%05d stands for a number of five digits, as in name_00001.png",
            )
        first = read_image(next(iter(self._files.values())))
        rate = reading.frame_rate or first.tags.frame_rate or DEFAULT_FRAME_RATE
        if reading.span is not None:
            self._files = _within(reading.span, self._files, rate, pattern)
            first = read_image(next(iter(self._files.values())))
        self._damage = reading.damage
        numbers = list(self._files)
        length = numbers[-1] - numbers[0] + 1
        if length > _LONGEST:
            raise InputError(
                f"{pattern.name} goes from {numbers[0]} to {numbers[-1]}: no sequence is that long.",
                "remove the pictures that do not belong to it",
            )
        # Of the first frame that iterating gives.
        self._first_index, self._first_number = 0, numbers[0]
        tags = first.tags
        timecode = None if tags.timecode is None else Timecode.parse(tags.timecode, rate)
        self._dtype = first.pixels.dtype
        self.info = SourceInfo(
            path=pattern,
            height=first.pixels.shape[0],
            width=first.pixels.shape[1],
            bit_depth=tags.bit_depth or (16 if self._dtype == np.uint16 else 8),
            frame_rate=rate,
            time_base=1 / rate,
            frame_count=len(self._files),
            duration_seconds=length / rate,
            colour=tags.colour,
            pixel_aspect=tags.pixel_aspect,
            first_number=numbers[0],
            tags=Tags(timecode=timecode),
            chromaticities=tags.chromaticities,
            has_alpha=first.alpha is not None,
            space=tags.space,
            has_light=first.light is not None,
        )
        missing = [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]
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
                picture = read_image(file)
            except InputError:
                if self._damage == "stop":
                    raise
                damaged.append(number)
                if self._damage == "drop":
                    continue
                picture = self._last_good_before(number)
            pixels = picture.pixels
            if pixels.shape[:2] != (self.info.height, self.info.width):
                raise InputError(
                    f"{file} is {pixels.shape[1]}x{pixels.shape[0]}, but the sequence began with "
                    f"{self.info.width}x{self.info.height}."
                )
            if pixels.dtype != self._dtype:
                raise InputError(
                    f"{file} has {pixels.dtype} samples, but the sequence began with {self._dtype}."
                )
            pts, time_base = number - first, self.info.time_base
            yield picture.to_frame(pts=pts, time_base=time_base, duration=1, index=index, alpha=picture.alpha)
            index += 1
        if damaged:
            done = "left out" if self._damage == "drop" else "the frame before is repeated"
            self.notes.append(f"Of {self.info.path.name}, {_name_runs(_join(damaged))} damaged; {done}.")

    def _last_good_before(self, number: int) -> Picture:
        """Read the picture again, because the yielded frame belongs to the caller."""
        for other in reversed([n for n in self._files if n < number]):
            with contextlib.suppress(InputError):
                return read_image(self._files[other])
        raise InputError(f"No picture before {self._files[number]} can be read now.")

    def start_at(self, index: int, pts: int) -> None:
        number = next(iter(self._files)) + pts
        if number not in self._files or not 0 <= index <= list(self._files).index(number):
            raise InputError(
                f"{self.info.path.name} has no picture {number} as its frame {index} any more.",
                "check whether files were added or removed during the run",
            )
        self._first_index, self._first_number = index, number

    def list_times(self) -> list[int]:
        first = next(iter(self._files))
        return [number - first for number in self._files]

    def end_before(self, pts: int) -> None:
        first = next(iter(self._files))
        self._files = {number: file for number, file in self._files.items() if number - first < pts}

    def close(self) -> None:
        """Do nothing, because no file is open."""


def _within(span: Span, files: dict[int, Path], rate: Fraction, pattern: Path) -> dict[int, Path]:
    """The files of a span, which counts from the first of them."""
    first = next(iter(files))
    end = span.end_seconds
    found = {
        number: file
        for number, file in files.items()
        if span.start_seconds <= (number - first) / rate and (end is None or (number - first) / rate < end)
    }
    if not found:
        length = clock_text((max(files) - first + 1) / rate)
        raise InputError(f"{pattern.name} lasts {length} at {rate} fps; the range {span} lies outside of it.")
    return found


def _join(numbers: list[int]) -> list[tuple[int, int]]:
    """First and last of each run of neighbours."""
    known = set(numbers)
    starts = [n for n in numbers if n - 1 not in known]
    ends = [n for n in numbers if n + 1 not in known]
    return list(zip(starts, ends, strict=True))


def _name_runs(runs: list[tuple[int, int]]) -> str:
    """First and last of each run, as in "3, 7 to 9 are"."""
    names = [str(first) if first == last else f"{first} to {last}" for first, last in runs[:5]]
    single = len(runs) == 1 and runs[0][0] == runs[0][1]
    return ", ".join(names) + (
        f" and {len(runs) - 5} more runs are" if len(runs) > 5 else " is" if single else " are"
    )


def tags_like(like: SourceInfo) -> PictureTags:
    """Metadata of a source's pictures."""
    colour = like.colour.assumed(like.height, like.width)
    high = like.transfer in ("smpte2084", "arib-std-b67")
    return PictureTags(
        bit_depth=like.bit_depth,
        colour=replace(colour, transfer=like.transfer),
        chromaticities=like.chromaticities,
        white_luminance=WHITE_NITS if high else None,
        frame_rate=like.frame_rate,
        timecode=None if like.tags.timecode is None else str(like.tags.timecode),
        pixel_aspect=like.pixel_aspect,
    )


class SequenceSink(Sink):
    """A :class:`~cleanplate.media.contract.Sink` that writes one picture a frame.

    A sequence keeps its own numbers; the frames of a video are numbered by their index, from 0. Each picture
    is complete as soon as it exists, so the sequence has no temporary name.

    Args:
        make_scratch: Makes the folder of this job for unfinished pictures, so that a kill leaves none beside
            the results; pictures of an earlier run in it are removed, and so is the folder at the end. If
            None, pictures are written beside their results.
    """

    def __init__(
        self,
        pattern: Path,
        like: SourceInfo,
        *,
        layer: str,
        overwrite: bool,
        encoding: Encoding,
        make_scratch: Callable[[], Path] | None = None,
    ) -> None:
        if encoding.codec is not None:
            raise OptionError(
                f"A sequence is encoded by its suffix and takes no codec, got '{encoding.codec}'."
            )
        check_image_suffix(pattern, alpha=layer == "cutout", quality=encoding.quality)
        check_writable(pattern, overwrite=overwrite)
        there = numbered_files(pattern)
        if there and not overwrite:
            raise OutputError(
                f"{next(iter(there.values()))} exists already.", "choose another name or add --overwrite"
            )
        self.path = pattern
        self.notes: list[str] = []
        self._overwrite = overwrite
        self._like = like
        self._channels = CHANNELS[layer]
        self._encoding = encoding
        self._frames = 0
        self.takes_light = pattern.suffix.lower() == ".exr"
        check_exr_encoding(encoding, pattern)
        if self.takes_light and self._channels > 1:
            self.extra_channels = encoding.channels
        self._tags = tags_like(like)
        if like.has_audio:
            self.notes.append(f"{pattern.name} is a sequence of pictures and has no sound.")
        if like.tags.timecode is not None and pattern.suffix.lower() not in TIMECODE_SUFFIXES:
            self.notes.append(f"{pattern.name} has no place for the timecode, {like.tags.timecode}.")
        self._scratch = None if make_scratch is None else make_scratch()
        if self._scratch is not None:
            left = self._scratch / f"{pattern.stem}.partial{pattern.suffix}"
            for file in numbered_files(left).values():
                file.unlink(missing_ok=True)

    def write(self, pixels: AnyArray, at: Frame) -> None:
        is_light = pixels.dtype in (np.float16, np.float32) and self.takes_light
        if is_light:
            check_light(pixels, self._channels, len(self.extra_channels))
        else:
            check_layer(pixels, (self._channels,))
        if pixels.shape[:2] != (self._like.height, self._like.width):
            raise OptionError(
                f"{self.path.name} takes pictures of {self._like.width}x{self._like.height}, "
                f"got {pixels.shape[1]}x{pixels.shape[0]}."
            )
        first = self._like.first_number
        number = self._like.first_index + at.index if first is None else first + at.pts
        file = self.path.with_name(self.path.name % number)
        tags, timecode = self._tags, self._like.tags.timecode
        if timecode is not None and tags.frame_rate is not None:
            later = timecode.after(round(at.time_seconds * tags.frame_rate))
            tags = replace(tags, timecode=str(later))
        if is_light:
            write_exr(
                file,
                pixels,
                tags=tags,
                channels=self.extra_channels,
                compression=self._encoding.compression,
                comments=describe_light(self._channels, premultiplied=self._encoding.premultiplied),
                overwrite=self._overwrite,
                scratch=self._scratch,
            )
        else:
            write_image(
                file,
                pixels,
                overwrite=self._overwrite,
                quality=self._encoding.quality,
                premultiplied=self._encoding.premultiplied and not self.takes_light,
                tags=tags,
                scratch=self._scratch,
            )
        self._frames += 1

    def close(self) -> None:
        self._leave_scratch()
        if not self._frames:
            raise OutputError(f"{self.path} was not written: it got no frame.")

    def abort(self) -> Path | None:
        self._leave_scratch()
        if not self._frames:
            return None
        self.notes.append(f"The first {self._frames} pictures of {self.path} are there.")
        return self.path

    def _leave_scratch(self) -> None:
        """Remove the folder unless something else is in it."""
        if self._scratch is not None:
            with suppress(OSError):
                self._scratch.rmdir()

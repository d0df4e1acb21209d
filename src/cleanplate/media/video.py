"""Video in: everything that FFmpeg decodes, upright, with exact times and true colours."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.format import Flags
from av.stream import Disposition
from av.video.stream import VideoStream

from cleanplate.errors import InputError
from cleanplate.frame import Frame
from cleanplate.media import unpacking
from cleanplate.media.base import Source, SourceInfo
from cleanplate.media.colour import Colour
from cleanplate.media.files import check_readable
from cleanplate.media.orientation import swaps_sides

# Demuxers that take anything: FFmpeg plays text files as an animation of a terminal.
_TEXT_DEMUXERS = {"tty", "ansi", "txt", "lrc"}

_DEFAULT_RATE = Fraction(25)


class VideoSource(Source):
    """A :class:`~cleanplate.media.base.Source` that decodes the first video stream of a file.

    The first frame is decoded at once, as only it tells the true size, rotation and colour.

    Raises:
        InputError: No such file, a folder, an empty file, not a video, no video stream in it, or not one
            frame that could be decoded.
    """

    def __init__(self, path: Path) -> None:
        check_readable(path, "a video")
        self.notes: list[str] = []
        self._path = path
        self._begin = 0
        self._container = open_container(path)
        try:
            self._stream = video_stream(path, self._container)
            self._stream.thread_type = "AUTO"
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise InputError(f"Not one frame of {path} could be decoded.", "is the file complete?")
            self._first: av.VideoFrame | None = first
            self._describe(first)
        except BaseException:
            self._container.close()
            raise

    def _describe(self, first: av.VideoFrame) -> None:
        stream = self._stream
        orientation = unpacking.orientation(first)
        depth = unpacking.bit_depth(first)
        colour = Colour.from_codes(
            first.color_range, first.colorspace, first.color_primaries, first.color_trc
        )
        height, width = first.height, first.width
        pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
        self._unpacker = unpacking.Unpacker(height, width, depth, colour.assumed(height, width), orientation)
        if swaps_sides(orientation):
            height, width = width, height
            pixel_aspect = 1 / pixel_aspect
        rate = stream.average_rate or stream.guessed_rate
        duration = self._announced_duration()
        self._clock_start = self._find_clock_start()
        self.info = SourceInfo(
            path=self._path,
            height=height,
            width=width,
            bit_depth=depth,
            frame_rate=rate,
            time_base=_time_base(stream),
            frame_count=stream.frames or (round(duration * rate) if duration and rate else None),
            duration_seconds=duration,
            colour=colour,
            has_audio=bool(self._container.streams.audio),
            pixel_aspect=pixel_aspect,
            clock_start=self._clock_start,
        )
        if first.interlaced_frame:
            self.notes.append(f"{self._path.name} is interlaced; its fields are not taken apart.")

    def _announced_duration(self) -> Fraction | None:
        stream = self._stream
        if stream.duration and stream.time_base:
            return stream.duration * Fraction(stream.time_base)
        # Matroska keeps each stream's own duration as text; the container's is that of the longest stream.
        hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
        minutes, _, seconds = rest.partition(":")
        try:
            return Fraction(hours) * 3600 + Fraction(minutes) * 60 + Fraction(seconds)
        except ValueError:
            pass
        if self._container.duration:
            return Fraction(self._container.duration, av.time_base)
        return None

    def _find_clock_start(self) -> Fraction:
        """Where a running clock stands at the start, to the tick; 0 for files that count from 0."""
        if not self._container.format.flags & cast(Any, Flags.ts_discont).value:
            return Fraction(0)
        streams = (*self._container.streams.video, *self._container.streams.audio)
        starts = [
            s.start_time * Fraction(s.time_base) for s in streams if s.start_time is not None and s.time_base
        ]
        return min(starts, default=Fraction(0))

    def _decode(self) -> Iterator[av.VideoFrame]:
        """All frames that can be had; damage is noted, not raised."""
        packets = self._container.demux(self._stream)
        damaged = 0
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, OSError) as error:
                self.notes.append(f"Reading {self._path.name} stopped early: {error.strerror}.")
                break
            try:
                yield from packet.decode()
            except av.FFmpegError:
                damaged += 1
        if damaged:
            self.notes.append(f"{damaged} packets of {self._path.name} are damaged and were left out.")

    def start_at(self, index: int, pts: int) -> None:  # noqa: ARG002
        self._begin = index

    def __iter__(self) -> Iterator[Frame]:
        if self._first is None:
            raise RuntimeError("A source can be iterated once.")
        time_base = self.info.time_base
        typical = max(1, round(1 / ((self.info.frame_rate or _DEFAULT_RATE) * time_base)))
        shift = round(self._clock_start / time_base)
        last: int | None = None
        duration = typical
        repaired = 0
        index = 0
        for decoded in self._all_frames():
            pts = decoded.pts
            earliest = 0 if last is None else last + 1
            if pts is None:
                pts = 0 if last is None else last + duration
            else:
                pts -= shift
                if last is not None and pts < earliest:
                    pts = earliest
                    repaired += 1
            duration = decoded.duration or typical
            if index >= self._begin:
                yield Frame(self._unpacker.unpack(decoded), pts, time_base, decoded.duration or None, index)
            last = pts
            index += 1
        if repaired:
            self.notes.append(
                f"The clock of {self._path.name} goes back at {repaired} frames; they follow on at once."
            )
        if last is not None:
            self._note_loss(index, (last + duration) * time_base)

    def _all_frames(self) -> Iterator[av.VideoFrame]:
        first, self._first = self._first, None
        if first is not None:
            yield first
            del first
        yield from self._decoded

    def _note_loss(self, frames: int, end_seconds: Fraction) -> None:
        announced = self.info.duration_seconds
        if announced is None:
            return
        start = self._stream.start_time or 0
        announced += start * self.info.time_base - self._clock_start
        # Containers round, and count a last frame or a fade of sound in: only half a second is a loss.
        if announced - end_seconds > Fraction(1, 2):
            self.notes.append(
                f"{self._path.name} was cut short or is damaged: it ends after frame {frames - 1} at "
                f"{float(end_seconds):.2f} s, although it announces {float(announced):.2f} s."
            )

    def close(self) -> None:
        self._container.close()


def open_container(path: Path) -> av.container.InputContainer:
    """Open a file that FFmpeg takes for a video; :class:`InputError` says why it is none."""
    try:
        container = av.open(str(path), metadata_errors="replace")
    except av.FFmpegError as error:
        with path.open("rb") as file:
            is_mp4 = file.read(8)[4:] == b"ftyp"
        if is_mp4:
            raise InputError(
                f"{path} is damaged: it has no index, as when a recording was cut off before its end.",
                "a repair tool may restore it with a sound file of the same camera",
            ) from error
        raise InputError(f"{path} is not a video that FFmpeg can read ({error.strerror}).") from error
    name = container.format.name
    if name == "image2" or name.endswith("_pipe"):
        container.close()
        raise InputError(f"{path} is a picture, not a video.", "name a numbered sequence as name_%05d.png")
    if name in _TEXT_DEMUXERS:
        container.close()
        raise InputError(f"{path} is not a video that FFmpeg can read (it looks like text).")
    return container


def video_stream(path: Path, container: av.container.InputContainer) -> VideoStream:
    """The first video stream that is not a song's cover, or an :class:`InputError`."""
    for stream in container.streams.video:
        # The cover of a song is a video stream of one picture to FFmpeg.
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise InputError(f"{path} is in a video codec that FFmpeg does not know.")
            return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise InputError(f"{path} has no video stream, only {' and '.join(kinds) or 'nothing at all'}.")


def _time_base(stream: VideoStream) -> Fraction:
    return Fraction(stream.time_base) if stream.time_base else Fraction(1, 1000)

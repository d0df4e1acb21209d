"""The packets of a file's pictures: from its start, from a key frame before a time, or their stamps alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain, islice
from typing import Any, cast

import av
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from cleanplate.media.containers.timeline import FAR_SECONDS

INDEXED = ("mov", "matroska")
"""Prefixes of the names of demuxers with an index of key frames; others estimate by the bit rate."""

_MOST_KEPT = 600
"""Largest number of packets that wait for the decision between two key frames."""

_HIDING = ("vp8",)
"""Codecs with packets whose picture is not shown."""

_UNLIKELY = Fraction(3, 2)
"""Average rate over FFmpeg's guess, which is a wrong average: gaps between frames only lower the average."""


class PacketFile:
    """A file with one stream of pictures; nothing in it is decoded.

    Args:
        open_file: Opens the file at its start, and returns it with the stream of pictures.
        read_once: For a pipe, which cannot be opened again: gives the packets of the stream. None: a file.

    Attributes:
        container: The open file; another object after :meth:`rewind` and :meth:`packets_before`.
        stream: Its pictures; likewise.
    """

    def __init__(
        self,
        open_file: Callable[[], tuple[InputContainer, VideoStream]],
        read_once: Callable[[InputContainer, VideoStream], Iterator[Any]] | None = None,
    ) -> None:
        self._open_file = open_file
        self._read_once = read_once
        self.container, self.stream = open_file()

    @property
    def is_pipe(self) -> bool:
        """True if it cannot be opened again."""
        return self._read_once is not None

    @property
    def tick(self) -> Fraction:
        """Seconds per unit of a packet's stamps."""
        return Fraction(self.stream.time_base) if self.stream.time_base else Fraction(1, 1000)

    @property
    def declared_rate(self) -> Fraction | None:
        """Frames per second by the header; None if it has none."""
        average, guessed = self.stream.average_rate, self.stream.guessed_rate
        # Raw DV has an average of 60,000, its clock, and GXF one of 50 fields.
        if average and guessed and average > _UNLIKELY * guessed:
            average = guessed
        rate = average or guessed
        return Fraction(rate) if rate else None

    def find_clock_start(self, first: int | None) -> Fraction:
        """Start of a running clock in seconds, to the tick; 0 for files that count from 0.

        A clip that begins hours after 0, or before it, also has a running clock.

        Args:
            first: Stamp of the first picture.
        """
        time = Fraction(0) if first is None else first * self.tick
        running = bool(self.container.format.flags & cast(Any, Flags.ts_discont).value)
        if not running and abs(time) <= FAR_SECONDS:
            return min(time, Fraction(0))
        streams = (*self.container.streams.video, *self.container.streams.audio)
        starts = [
            s.start_time * Fraction(s.time_base) for s in streams if s.start_time is not None and s.time_base
        ]
        # A stream that starts at another time of day has a clock of its own.
        return min((s for s in starts if abs(s - time) <= FAR_SECONDS), default=time)

    def packets(self) -> Iterator[Any]:
        """The packets from the current position on."""
        demux = self._read_once or InputContainer.demux
        return demux(self.container, self.stream)

    def packets_before(self, stamp: int) -> Iterator[Any] | None:
        """The packets from a key frame before ``stamp`` on; None if there is no way to find it."""
        try:
            if self.container.format.name.startswith(INDEXED):
                self.container.seek(stamp, stream=self.stream)
                return self.container.demux(self.stream)
            return self._skip(stamp)
        except (av.FFmpegError, OSError):
            return None

    def _skip(self, stamp: int) -> Iterator[Any] | None:
        """Find the key frame without an index: all packets are read, and those before it are not decoded.

        None if the clock jumps on the way, or if there are too many packets between two key frames.
        """
        self.rewind()
        packets = self.container.demux(self.stream)
        kept: list[Any] = []
        last: int | None = None
        for packet in packets:
            if not packet.size or packet.pts is None or packet.dts is None:
                return None
            if last is not None and not last < packet.dts <= last + FAR_SECONDS / self.tick:
                return None
            last = packet.dts
            if packet.is_keyframe and packet.pts <= stamp:
                kept = []
            kept.append(packet)
            if packet.dts >= stamp:
                return chain(kept, packets)
            if len(kept) > _MOST_KEPT:
                return None
        return None

    def peek_stamps(self, most: int) -> list[int] | None:
        """Presentation stamps of the first ``most`` packets, in the file's order; some packets have none.

        None if they cannot be read. The current position stays.
        """
        with self._open_again() as packets:
            try:
                return [packet.pts for packet in islice(packets, most) if packet.pts is not None]
            except (av.FFmpegError, OSError):
                return None

    def list_stamps(self) -> list[int] | None:
        """Presentation stamps of all pictures, in the file's order; None if the packets do not tell them.

        A packet of VP8 may hold no picture, and some containers have packets without times. The current
        position stays.
        """
        if self.is_pipe or self.stream.codec_context.codec.canonical_name in _HIDING:
            return None
        stamps: list[int] = []
        with self._open_again() as packets:
            try:
                for packet in packets:
                    if packet.size and packet.pts is None:
                        return None
                    if packet.pts is not None and packet.size and not packet.is_discard:
                        stamps.append(packet.pts)
            except (av.FFmpegError, OSError):
                return None
        return stamps

    @contextlib.contextmanager
    def _open_again(self) -> Iterator[Iterator[Any]]:
        container, stream = self._open_file()
        try:
            yield container.demux(stream)
        finally:
            container.close()

    def rewind(self) -> None:
        """Open the file at its start again."""
        self.close()
        self.container, self.stream = self._open_file()

    def close(self) -> None:
        """Close the file."""
        self.container.close()

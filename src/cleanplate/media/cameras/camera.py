"""Cameras: devices and streams through FFmpeg, as sources that never end by themselves.

A camera is a :class:`~cleanplate.media.contract.Source` whose frames have the time of their arrival, so that
later stages can compute the age of a frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av

from cleanplate.errors import InputError
from cleanplate.frame import Frame, Pixels, to_depth
from cleanplate.media import open_source
from cleanplate.media.cameras.camera_modes import USUAL_RATE
from cleanplate.media.cameras.live_stream import Address, Stream, explain
from cleanplate.media.cameras.v4l2 import Lock
from cleanplate.media.colour.h273 import Colour
from cleanplate.media.contract import Source, SourceInfo
from cleanplate.media.orientation import swaps_sides
from cleanplate.media.video import unpacking

TIME_BASE = Fraction(1, 90_000)
"""Time base of every camera's frames."""

RETRY_SECONDS = 1.0
"""Interval in seconds between two searches for a camera that was disconnected."""

_SLICE_SECONDS = 0.05
"""Interval in which a waiting camera checks for a request to stop."""


class Camera(Source, Protocol):
    """A source in real time.

    A frame arrived at ``clock_zero + frame.time_seconds`` on the clock of :func:`time.monotonic`. Frames are
    uint8 and all of one size; frames that are not read in time are dropped.

    Attributes:
        name: Name for users, and the key of its stored plate.
        clock_zero: Monotonic time at which the time of its frames was 0.
        is_lost: Whether the camera is disconnected and searched for.
    """

    name: str
    clock_zero: float
    is_lost: bool

    def stop(self) -> None:
        """Let the iteration end soon; may be called from another thread."""
        ...

    def lock(self) -> tuple[str, ...]:
        """Lock exposure, white balance and focus; returns the names of the locked controls."""
        ...

    def unlock(self) -> None:
        """Let the camera adjust itself again."""
        ...


class StreamCamera(Camera):
    """A device or a network stream.

    When it goes, it is looked for once a second until it is back or :meth:`stop` is called. A recording at a
    URL is played at its own pace, and ends.

    Raises:
        InputError: It cannot be opened, or delivers no picture.
    """

    def __init__(self, address: Address) -> None:
        self.name = address.name
        self.notes: list[str] = []
        self.is_lost = False
        self._address = address
        self._stopped = False
        self._lock: Lock | None = None
        self._start: float | None = None
        self._stream = Stream(address)
        try:
            self._unpacker, self.info = self._look()
        except BaseException:
            self._stream.close()
            raise
        self.clock_zero = time.monotonic()

    def _look(self) -> tuple[unpacking.Unpacker, SourceInfo]:
        """Read the first frame, which is not yielded, for the properties of all frames."""
        try:
            while (found := self._stream.read()) is not None:
                for first in found[1]:
                    return self._describe(first)
        except (av.FFmpegError, OSError) as error:
            raise InputError(*explain(self._address, error)) from error
        raise InputError(f"The camera '{self.name}' delivers no picture.")

    def _describe(self, first: av.VideoFrame) -> tuple[unpacking.Unpacker, SourceInfo]:
        orientation = unpacking.orientation(first)
        height, width = first.height, first.width
        colour = Colour.from_codes(
            first.color_range, first.colorspace, first.color_primaries, first.color_trc
        )
        unpacker = unpacking.Unpacker(height, width, 8, colour.assumed(height, width), orientation)
        if swaps_sides(orientation):
            height, width = width, height
        video = self._stream.video
        info = SourceInfo(
            path=Path(self.name),
            height=height,
            width=width,
            frame_rate=video.average_rate or video.guessed_rate or USUAL_RATE,
            time_base=TIME_BASE,
            colour=Colour("limited", colour.matrix, colour.primaries, colour.transfer),
        )
        return unpacker, info

    def __iter__(self) -> Iterator[Frame]:
        index, last = 0, -1
        while not self._must_stop():
            try:
                pictures = self._read()
            except (av.FFmpegError, OSError):
                pictures = None
            if pictures is None:
                if self._must_stop() or self._stream.is_recording:
                    return
                self._wait_for_return()
                continue
            for arrived, pixels in pictures:
                last = max(last + 1, round((arrived - self.clock_zero) / TIME_BASE))
                yield Frame(pixels, last, TIME_BASE, None, index)
                index += 1

    def _read(self) -> list[tuple[float, Pixels]] | None:
        """The next pictures, in new memory, with their time of arrival; None at the end."""
        found = self._stream.read()
        if found is None:
            return None
        arrived, decoded = found
        pictures = []
        for frame in decoded:
            if self._stream.is_recording and frame.time is not None:
                self._start = frame.time if self._start is None else self._start
                due = self.clock_zero + frame.time - self._start
                sleep_unless(self._must_stop, due - time.monotonic())
                arrived = max(arrived, due)
            pictures.append((arrived, self._unpacker.unpack(frame)))
        return pictures

    def _wait_for_return(self) -> None:
        self.is_lost = True
        self._stream.close()
        while not self._must_stop():
            sleep_unless(self._must_stop, RETRY_SECONDS)
            try:
                self._stream = Stream(self._address)
            except InputError:
                continue
            self.is_lost = False
            if self._lock is not None:  # the device may have lost its settings
                self.unlock()
                self.lock()
            return

    def stop(self) -> None:
        self._stopped = True

    def _must_stop(self) -> bool:
        return self._stopped

    def lock(self) -> tuple[str, ...]:
        if self._address.device_path is None:
            return ()
        if self._lock is None:
            self._lock = Lock(self._address.device_path)
        return self._lock.held

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def close(self) -> None:
        self.unlock()
        self._stream.close()


class ClipCamera(Camera):
    """A file in place of a camera: its frames arrive at the times of their stamps.

    A frame that is late by more than its own duration is dropped, as by a camera; if
    reading the file is slower than its clock, the clock is set back.

    Args:
        path: A video or a numbered sequence.
        loop: Whether it starts again at its end.

    Raises:
        InputError: The file cannot be read.
    """

    def __init__(self, path: Path, *, loop: bool = False) -> None:
        self._source = open_source(path)
        self.name = path.name
        self.notes: list[str] = []
        self.is_lost = False
        self.clock_zero = time.monotonic()
        self._loop = loop
        self._stopped = False
        self._period = float(1 / (self._source.info.frame_rate or USUAL_RATE))
        info = self._source.info
        self.info = SourceInfo(
            path=info.path,
            height=info.height,
            width=info.width,
            frame_rate=info.frame_rate or USUAL_RATE,
            time_base=TIME_BASE,
            colour=info.colour,
            pixel_aspect=info.pixel_aspect,
        )

    def __iter__(self) -> Iterator[Frame]:
        self.clock_zero = time.monotonic()
        index, offset = 0, 0.0
        while not self._must_stop():
            end = 0.0
            start: Fraction | None = None
            for stored in self._source:
                start = stored.time_seconds if start is None else start
                shown = float(stored.time_seconds - start)
                end = shown + self._period
                if not self._wait_until(offset + shown):
                    if self._must_stop():
                        return
                    continue
                pixels = to_depth(stored.pixels, "uint8")
                pts, aspect = round((offset + shown) / TIME_BASE), self.info.pixel_aspect
                yield Frame(pixels, pts, TIME_BASE, None, index, pixel_aspect=aspect)
                index += 1
            if not self._loop or not end:
                return
            offset += end
            self._source.close()
            self._source = open_source(self.info.path)

    def _wait_until(self, seconds: float) -> bool:
        """Wait for a moment; returns whether the frame should be delivered."""
        sleep_unless(self._must_stop, self.clock_zero + seconds - time.monotonic())
        late = time.monotonic() - (self.clock_zero + seconds)
        if late > 4 * self._period:
            self.clock_zero += late
            return not self._must_stop()
        return not self._must_stop() and late <= self._period

    def stop(self) -> None:
        self._stopped = True

    def _must_stop(self) -> bool:
        return self._stopped

    def lock(self) -> tuple[str, ...]:
        return ()

    def unlock(self) -> None:
        pass

    def close(self) -> None:
        self._source.close()


def sleep_unless(stopped: Callable[[], bool], seconds: float) -> None:
    """Sleep in slices, until ``stopped()`` is true."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not stopped():
        time.sleep(min(left, _SLICE_SECONDS))

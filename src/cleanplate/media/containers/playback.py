"""The pictures of a file on one rising clock, from its start or, with equal results, from any frame on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, dropwhile
from typing import Any

import av
from av.container import InputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from cleanplate.media.colour.h273 import Colour
from cleanplate.media.containers.cadence import PEEKED, Cadence, find_cadence
from cleanplate.media.containers.decoding import DecodedPicture, Decoder
from cleanplate.media.containers.deinterlacing import Deinterlacer, Fields
from cleanplate.media.containers.packet_file import PacketFile
from cleanplate.media.containers.timeline import Timeline

_MARGIN_SECONDS = Fraction(1)

_WHOLE = (PictureType.I, PictureType.NONE)

_USUAL_RATE = Fraction(25)


@dataclass(frozen=True)
class PlayedPicture:
    """A decoded frame in its place in time.

    Attributes:
        frame: The frame to show; instead of a damaged one the intact one before it, if there is one.
        pts: Time in units of the playback's time base, from the start of the clip's clock.
        duration: Time on screen in the same units; None if the file has none.
        damaged: Whether the frame of that time is damaged or lost.
    """

    frame: av.VideoFrame
    pts: int
    duration: int | None
    damaged: bool


class Playback:
    """One file that is played from its start, or from any frame on.

    Args:
        open_file: Opens the file at its start, and returns it with the stream of pictures.
        read_once: For a pipe, which cannot be opened again: gives the packets of the stream. Its stamps are
            kept as they are, and a later frame is reached by decoding those before it. None: a file.
        deinterlace: Whether interlaced frames are deinterlaced.

    Attributes:
        clock_start: Seconds that are subtracted from every time stamp.
        skipped: Frames at the start without a key frame.
        met_damage: Whether a decoded frame was damaged or lost, also one before the wanted frames.
        container_colour: The container's own colour tags; pictures have their own.
        fields: Fields of the stream's frames.
        interlaced: Number of interlaced frames so far, deinterlaced or not.

    Raises:
        LookupError: Not one frame could be decoded.
    """

    def __init__(
        self,
        open_file: Callable[[], tuple[InputContainer, VideoStream]],
        read_once: Callable[[InputContainer, VideoStream], Iterator[Any]] | None = None,
        *,
        deinterlace: bool = True,
    ) -> None:
        self._deinterlace = deinterlace
        self.interlaced = 0
        self._from_start: Iterator[PlayedPicture] | None = None
        self.met_damage = False
        self._file = PacketFile(open_file, read_once)
        context = self.stream.codec_context  # decoding overwrites it
        self.container_colour = Colour.from_codes(
            context.color_range, context.colorspace, context.color_primaries, context.color_trc
        )
        self.fields = Fields.of(self.stream)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        first, following = self._decode_first()
        self.clock_start = self._file.find_clock_start(first.pts)
        self._first_pts = 0 if first.pts is None else first.pts - round(self.clock_start / self._file.tick)
        self._cadence: Cadence | None = None
        self._timeline = self._new_timeline()
        self._cadence = self._find_cadence()
        self._from_start = self._place(chain([first], following))

    def _decode_first(self) -> tuple[DecodedPicture, Iterator[DecodedPicture]]:
        """The first frame that can be decoded, and those after it."""
        for self._wait_for_key in (True, False):
            following = self._decode()
            for lost, decoded in enumerate(following):
                if decoded.frame is not None:
                    self.skipped = self._decoder.skipped + lost
                    return decoded, following
            if self._file.is_pipe:
                break
            self._file.rewind()
        raise LookupError("not one frame")

    @property
    def container(self) -> InputContainer:
        """The open file."""
        return self._file.container

    @property
    def stream(self) -> VideoStream:
        """Its pictures."""
        return self._file.stream

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of a picture's time."""
        return self._cadence.time_base if self._cadence else self._file.tick

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second: the constant rate, or the average."""
        return self._cadence.rate if self._cadence else self._file.declared_rate

    @property
    def stopped(self) -> str | None:
        """FFmpeg's message if reading ended before the end of the file; otherwise None."""
        return self._decoder.stopped

    @property
    def damaged_packets(self) -> int:
        """Packets that could not be decoded and whose times are unknown."""
        return self._decoder.damaged_packets

    @property
    def repaired(self) -> int:
        """Time stamps that did not rise, or rose by hours."""
        return self._timeline.repaired

    @property
    def end(self) -> int | None:
        """End time of the last picture so far, in units of ``time_base``."""
        end = self._timeline.end
        return end if end is None or self._cadence is None else self._cadence.place(end)

    def pictures(self) -> Iterator[PlayedPicture]:
        """All pictures, in order; to be called once, before :meth:`pictures_from`."""
        return self._pace(self._all())

    def pictures_from(self, pts: int) -> Iterator[PlayedPicture]:
        """The pictures from ``pts`` on."""
        stamp = pts if self._cadence is None else self._cadence.stamp_before(pts)
        return dropwhile(lambda picture: picture.pts < pts, self._pace(self._jump(stamp) or self._all()))

    def list_times(self) -> list[int] | None:
        """Times of all pictures by their packets, without decoding; None if the packets do not tell them."""
        stamps = self._file.list_stamps()
        if stamps is None:
            return None
        shift = round(self.clock_start / self._file.tick)
        stamps = sorted(stamp for stamp in stamps if stamp - shift >= self._first_pts)
        if len(set(stamps)) < len(stamps):
            return None
        timeline = self._new_timeline()
        times = [timeline.place(stamp, None)[0] for stamp in stamps]
        return times if self._cadence is None else [self._cadence.place(time) for time in times]

    def _all(self) -> Iterator[PlayedPicture]:
        pictures = self._from_start
        if not self._file.is_pipe:
            self._from_start = None
        if pictures is None:
            self._file.rewind()
            self._timeline = self._new_timeline()
            return self._place(self._decode())
        return pictures

    def _pace(self, pictures: Iterator[PlayedPicture]) -> Iterator[PlayedPicture]:
        """Move the pictures to the times of the constant rate, if the file's stamps are rounded."""
        cadence = self._cadence
        if cadence is None:
            return pictures
        return (
            replace(
                picture,
                pts=cadence.place(picture.pts),
                duration=None if picture.duration is None else cadence.last(picture.duration),
            )
            for picture in pictures
        )

    def _find_cadence(self) -> Cadence | None:
        """The constant rate of the first frames, from their packets, without decoding."""
        rate, tick = self._file.declared_rate, self._file.tick
        if self._file.is_pipe or rate is None or (1 / rate / tick).denominator == 1:
            return None
        stamps = self._file.peek_stamps(PEEKED)
        if stamps is None:
            return None
        shift = round(self.clock_start / tick)
        stamps = [stamp - shift for stamp in stamps]
        return find_cadence([stamp for stamp in stamps if stamp >= self._first_pts], tick, rate)

    def _jump(self, pts: int) -> Iterator[PlayedPicture] | None:
        """The pictures from ``pts`` on, decoded from a key frame before; None if no safe key frame is found.

        Pictures after a key frame in the order of presentation do not depend on pictures before it. A stream
        with gradual refresh marks frames of another type as key frames: it is read from the start.
        """
        margin = int(_MARGIN_SECONDS / self._file.tick)
        if self._file.is_pipe or pts - self._first_pts <= 2 * margin:
            return None
        self._from_start = None
        stamp = pts + round(self.clock_start / self._file.tick) - margin
        packets = self._file.packets_before(stamp)
        if packets is None:
            return None
        self._timeline = self._new_timeline()
        pictures = self._place(self._decode(packets))
        for picture in pictures:
            frame = picture.frame
            if frame.pts is None or picture.pts > pts:
                return None
            if not picture.damaged and frame.key_frame and frame.pict_type in _WHOLE:
                return dropwhile(lambda picture: picture.pts < pts, chain([picture], pictures))
        return None

    def _new_timeline(self) -> Timeline:
        usual = max(1, round(1 / ((self.frame_rate or _USUAL_RATE) * self._file.tick)))
        return Timeline(self._file.tick, usual, round(self.clock_start / self._file.tick))

    def _decode(self, packets: Iterator[Any] | None = None) -> Iterator[DecodedPicture]:
        packets = self._file.packets() if packets is None else packets
        self._decoder = Decoder(self.stream, packets, wait_for_key=self._wait_for_key)
        return iter(self._decoder)

    def _place(self, decoded: Iterator[DecodedPicture]) -> Iterator[PlayedPicture]:
        """Put pictures in their places in time, and deinterlace them."""
        pictures = self._put_in_time(decoded)
        if not self._deinterlace:
            return pictures
        whole = Deinterlacer[PlayedPicture](self.fields).run((picture.frame, picture) for picture in pictures)
        return (replace(picture, frame=frame) for frame, picture in whole)

    def _put_in_time(self, decoded: Iterator[DecodedPicture]) -> Iterator[PlayedPicture]:
        good: av.VideoFrame | None = None
        for shot in decoded:
            if shot.damaged:
                self.met_damage = True
            else:
                good = shot.frame
            frame = good or shot.frame
            if frame is None:
                continue  # lost before there was anything to show
            self.interlaced += self.fields.are_in(frame)
            pts, duration = self._timeline.place(shot.pts, shot.duration)
            yield PlayedPicture(frame, pts, duration, shot.damaged)

    def close(self) -> None:
        """Close the file and end its iteration."""
        self._from_start = None
        self._file.close()

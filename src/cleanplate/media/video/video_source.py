"""Reading of video: all formats of FFmpeg's decoders, upright, with exact times and colours."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from cleanplate.errors import InputError, spell
from cleanplate.frame import Frame
from cleanplate.media.containers.hardware import find_decoder
from cleanplate.media.containers.opening import open_container
from cleanplate.media.containers.playback import Playback, PlayedPicture
from cleanplate.media.containers.raw_video import refuse_by_name, refuse_mosaic, unknown_codec
from cleanplate.media.contract import Reading, Source
from cleanplate.media.files import check_readable
from cleanplate.media.spans import Span, clock_text
from cleanplate.media.video.event_tally import EventTally
from cleanplate.media.video.frame_converter import FrameConverter
from cleanplate.media.video.video_description import describe_video, note_dolby_vision
from cleanplate.system.cores import codec_threads


class VideoSource(Source):
    """A :class:`~cleanplate.media.contract.Source` that decodes the first video stream of a file.

    The first frame is decoded at once, because only it shows the true size, rotation and colour; so is the
    first one of a span. With an index in the container, reading begins at a key frame before the wanted
    frame, if the decoded pictures begin before it; otherwise all frames before it are decoded and dropped.

    Raises:
        InputError: No such file, a folder, an empty file, not a video, no video stream, no decodable frame,
            or no frame in the span.
    """

    def __init__(self, path: Path, reading: Reading) -> None:
        self.notes: list[str] = []
        self._path = path
        self._reading = reading
        self._first_index = 0
        # On the clip's clock: the time that becomes 0, and the end of the span.
        self._zero = 0
        self._end: int | None = None
        self._damaged = EventTally()
        self._interlacing_noted = False
        try:
            self._playback = self._open(path)
        except LookupError:
            raise InputError(f"Not one frame of {path} could be decoded.", "is the file complete?") from None
        try:
            pictures = self._playback.pictures()
            first = next(pictures)
            self._describe(first.frame)
            self._pictures: Iterator[PlayedPicture] | None = chain([first], pictures)
            if reading.span is not None:
                self._cut(reading.span, first.pts)
        except BaseException:
            self._playback.close()
            raise

    def _open(self, path: Path) -> Playback:
        check_readable(path, "a video")
        refuse_by_name(path)
        hardware = find_decoder(path, self._reading.hardware, self.notes)
        return Playback(partial(_open_pictures, path, hardware), deinterlace=self._deinterlaces)

    @property
    def _deinterlaces(self) -> bool:
        return self._reading.deinterlace == "auto"

    def _describe(self, first: av.VideoFrame) -> None:
        path, playback, notes = self._path, self._playback, self.notes
        codec = playback.stream.codec_context.name
        refuse_mosaic(path, codec, first)
        self._converter = FrameConverter(path, first, playback.container_colour, codec)
        self.info = describe_video(path, playback, self._converter, first, notes)
        self._note_fields()
        note_dolby_vision(path, codec, notes)

    def _note_fields(self) -> None:
        """Note interlaced frames once, as soon as there is one."""
        if not self._playback.interlaced or self._interlacing_noted:
            return
        self._interlacing_noted = True
        done = spell(
            "each frame becomes the whole picture of its first field (bwdif), and the result is progressive; "
            "--deinterlace=off is for progressive pictures that are stored as fields."
        )
        if not self._deinterlaces:
            done = "its fields are not separated, and the field order is lost in the result."
        self.notes.append(f"{self._path.name} is interlaced: {done}")

    def _cut(self, span: Span, first_pts: int) -> None:
        """Go to the first frame of a span."""
        time_base = self.info.time_base
        start = first_pts + math.ceil(span.start_seconds / time_base)
        if span.end_seconds is not None:
            self._end = first_pts + math.ceil(span.end_seconds / time_base)
        if start > first_pts:
            self._pictures = None  # the first frame need not be kept
            pictures = self._playback.pictures_from(start)
            first = next(pictures, None)
            if first is None or (self._end is not None and first.pts >= self._end):
                raise InputError(self._say_nothing_within(span, first, first_pts))
            self._pictures = chain([first], pictures)
            self._zero = first.pts
        else:
            self._zero = first_pts
        skipped = (self._zero - first_pts) * time_base
        info = self.info
        length = info.duration_seconds
        if span.end_seconds is not None:
            length = span.end_seconds if length is None else min(length, span.end_seconds)
        length = None if length is None else max(length - skipped, Fraction(0))
        sound_end = None if span.end_seconds is None else span.end_seconds - skipped
        rate = info.frame_rate
        start_seconds = self._zero * time_base
        self.info = replace(
            info,
            frame_count=round(length * rate) if length is not None and rate else None,
            duration_seconds=length,
            clock_start=info.clock_start + start_seconds,
            sound_span=Span(Fraction(0), sound_end),
            tags=info.tags.cut(
                start_seconds,
                None if sound_end is None else start_seconds + sound_end,
                round(skipped * rate) if rate else 0,
            ),
        )

    def _say_nothing_within(self, span: Span, after: PlayedPicture | None, first_pts: int) -> str:
        if after is not None:
            return f"{self._path.name} shows no new frame within {span}."
        end = ((self._playback.end or 0) - first_pts) * self.info.time_base
        return f"{self._path.name} lasts {clock_text(end)}; the range {span} lies outside of it."

    def start_at(self, index: int, pts: int) -> None:
        wanted = pts + self._zero
        self._pictures = None
        pictures = self._playback.pictures_from(wanted)
        first = next(pictures, None)
        if first is None or first.pts != wanted:
            time = clock_text(pts * self.info.time_base)
            raise InputError(
                f"{self._path.name} has no frame {index} at {time} any more.",
                "check whether the file was changed during the run",
            )
        self._pictures = chain([first], pictures)
        self._first_index = index

    @property
    def met_damage(self) -> bool:
        return self._playback.met_damage or self._playback.damaged_packets > 0

    def list_times(self) -> list[int]:
        stamps = self._playback.list_times()
        if stamps is None:
            with contextlib.closing(self._open(self._path)) as playback:
                drops = self._reading.damage == "drop"
                stamps = [shot.pts for shot in playback.pictures() if not (drops and shot.damaged)]
        end = math.inf if self._end is None else self._end
        return [stamp - self._zero for stamp in stamps if self._zero <= stamp < end]

    def end_before(self, pts: int) -> None:
        end = pts + self._zero
        self._end = end if self._end is None else min(self._end, end)

    def __iter__(self) -> Iterator[Frame]:
        pictures, self._pictures = self._pictures, None
        if pictures is None:
            raise RuntimeError("A source can be iterated once.")
        time_base = self.info.time_base
        index = self._first_index
        for picture in pictures:
            if self._end is not None and picture.pts >= self._end:
                break
            pts = picture.pts - self._zero
            if picture.damaged:
                self._meet_damage(index, pts * time_base)
                if self._reading.damage == "drop":
                    continue
            pixels, alpha = self._converter.convert(picture.frame, pts * time_base)
            yield Frame(
                pixels,
                pts,
                time_base,
                picture.duration,
                index,
                alpha=alpha,
                space=self.info.space,
                pixel_aspect=self.info.pixel_aspect,
            )
            index += 1
        else:
            self._note_loss(index)
        self._note_events()

    def _meet_damage(self, index: int, seconds: Fraction) -> None:
        if self._reading.damage == "stop":
            raise InputError(
                f"Frame {index} of {self._path.name}, at {clock_text(seconds)}, is damaged.",
                "repeat the frame before with --damage=hold, or leave it out with --damage=drop",
            )
        self._damaged.add(clock_text(seconds))

    def _note_events(self) -> None:
        """Note damage and changes that were found during reading."""
        name, playback = self._path.name, self._playback
        self._note_fields()
        if self._damaged.count:
            done = "they are left out" if self._reading.damage == "drop" else "the frame before is repeated"
            self.notes.append(f"Damaged frames of {name}: {self._damaged.count}, at {self._damaged}; {done}.")
        if playback.damaged_packets:
            self.notes.append(f"{playback.damaged_packets} packets of {name} are damaged and were left out.")
        if playback.repaired:
            self.notes.append(
                f"The clock of {name} jumps or goes back at {playback.repaired} frames; these follow the "
                "frame before without a gap."
            )
        if self._converter.changes.count:
            self.notes.append(
                f"{name} changes to {self._converter.changes}; all frames are converted to the size and "
                f"depth of the first, {self.info.width}x{self.info.height} of {self.info.bit_depth} bits; "
                "primaries and transfer are not converted."
            )

    def _note_loss(self, frames: int) -> None:
        """Note a file that ended too early."""
        name, time_base = self._path.name, self.info.time_base
        if self._playback.stopped is not None:
            self._lose(f"Reading {name} stopped early: {self._playback.stopped}.")
        announced = self.info.duration_seconds
        end = self._playback.end
        if announced is None or end is None:
            return
        if self.info.sound_span is None:
            stream = self._playback.stream
            start = (stream.start_time or 0) * Fraction(stream.time_base or 0)
            announced += start - self._playback.clock_start
        seconds = (end - self._zero) * time_base
        # Containers round, and count a last frame or a fade of sound in: only half a second is a loss.
        if announced - seconds > Fraction(1, 2):
            self._lose(
                f"{name} was cut short or is damaged: it ends after frame {frames - 1} at "
                f"{float(seconds):.2f} s, although it announces {float(announced):.2f} s."
            )

    def _lose(self, sentence: str) -> None:
        if self._reading.damage == "stop":
            raise InputError(sentence)
        self.notes.append(sentence)

    def close(self) -> None:
        self._pictures = None  # a decoder and its frames are set free at once, not when memory is tidied up
        self._playback.close()


def _open_pictures(path: Path, hardware: HWAccel | None) -> tuple[InputContainer, VideoStream]:
    """Open the file and the decoder of its pictures."""
    container = open_container(path, hardware)
    try:
        stream = video_stream(path, container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = codec_threads()
    except BaseException:
        container.close()
        raise
    return container, stream


def video_stream(path: Path, container: av.container.InputContainer) -> VideoStream:
    """The first video stream that is not the cover of a song, or an :class:`InputError`."""
    for stream in container.streams.video:
        # The cover of a song is a video stream of one picture to FFmpeg.
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise unknown_codec(path)
            return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise InputError(f"{path} has no video stream, only {' and '.join(kinds) or 'nothing at all'}.")

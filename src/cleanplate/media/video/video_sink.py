"""Video sink: an encoder of the table of formats, exact times and the source's sound."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
from av.container import OutputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from cleanplate.errors import OptionError, OutputError
from cleanplate.frame import AnyArray, Frame
from cleanplate.media.audio.side_streams import Soundtrack
from cleanplate.media.colour.bit_depth import check_layer
from cleanplate.media.colour.chroma_siting import LEFT
from cleanplate.media.colour.h273 import MATRICES, PRIMARIES, TRANSFERS, UNSPECIFIED, Colour, code_of
from cleanplate.media.container_tags import carry_tags
from cleanplate.media.containers.encoders import Encoder
from cleanplate.media.containers.formats import (
    Container,
    choose_encoder,
    choose_pixel_format,
    even_size,
)
from cleanplate.media.containers.hardware import stream_arguments
from cleanplate.media.contract import CHANNELS, Encoding, Sink, SourceInfo
from cleanplate.media.files import check_writable, reporting_write_errors, url_of
from cleanplate.media.video.packing import Packer
from cleanplate.media.video.unpacking import range_code
from cleanplate.system.cores import codec_threads
from cleanplate.system.scheduling import ordinary_scheduling
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import claim_partial, move_into_place

# FFmpeg delays pictures until a packet of sound follows, for ten seconds by default: gigabytes of ProRes.
_INTERLEAVE_MICROSECONDS = 1_000_000


class VideoSink(Sink):
    """A :class:`~cleanplate.media.contract.Sink` that encodes one video stream and copies the sound.

    See :func:`cleanplate.media.open_sink` for the arguments and errors.
    """

    def __init__(
        self,
        path: Path,
        like: SourceInfo,
        *,
        layer: str,
        overwrite: bool,
        audio: bool,
        encoding: Encoding,
    ) -> None:
        self._check(path, overwrite=overwrite)
        self.path = path
        self.notes: list[str] = []
        container, encoder = self._choose(path, layer, like, encoding)
        self._overwrite = overwrite
        self._like = like
        self._channels = CHANNELS[layer]
        self._durations: dict[int, int] = {}
        self._frames = 0
        self._last_pts: int | None = None
        self._soundtrack: Soundtrack | None = None
        self._finished = False
        self._relayout = VideoReformatter()

        pixel_format = choose_pixel_format(encoder, layer, like)
        colour = like.colour.assumed(like.height, like.width)
        if not encoder.full_range:
            colour = replace(colour, range="limited")
        written = encoder.colour_codes.fit(colour)
        height, width = self._choose_size(encoder, encoding.odd)
        self._scaled = (width, height) if encoding.odd == "scale" else None
        self._packer = Packer(pixel_format, height, width, written, encoder.opaque)
        self._handed_in = encoder.handed_in.get(pixel_format)
        self.notes += _describe_losses(path, like, encoder, pixel_format)
        self.notes += _describe_tags(path, encoder, colour, written)
        options = encoder.choose_options(pixel_format, encoding, like.hdr)
        with reporting_write_errors(path):
            self._container = self._open_output(container)
            try:
                self._stream = self._add_stream(
                    encoder, pixel_format, height, width, written.filled(colour), options
                )
                carry_tags(like.tags, self._container, self._stream)
                if audio and (like.has_audio or like.has_subtitles):
                    self._soundtrack = Soundtrack(like, self._container, container, self.notes)
                with ordinary_scheduling():
                    self._container.start_encoding()
            except BaseException:
                self._discard()
                raise

    def _check(self, path: Path, *, overwrite: bool) -> None:
        """Refuse a result that cannot be written."""
        check_writable(path, overwrite=overwrite)

    def _choose(
        self, path: Path, layer: str, like: SourceInfo, encoding: Encoding
    ) -> tuple[Container, Encoder]:
        return choose_encoder(path, layer, like, encoding, self.notes)

    def _open_output(self, container: Container) -> OutputContainer:
        """Open the temporary file."""
        self.partial = claim_partial(self.path)
        try:
            return av.open(
                url_of(self.partial),
                "w",
                format=container.name,
                container_options=muxer_options(container, self._like.time_base),
            )
        except BaseException:
            self.partial.unlink(missing_ok=True)
            raise

    def _choose_size(self, encoder: Encoder, odd: str) -> tuple[int, int]:
        height, width = even_size(encoder, (self._like.height, self._like.width), odd)
        if (height, width) != (self._like.height, self._like.width):
            done = "it is scaled" if odd == "scale" else "the last row or column is repeated"
            self.notes.append(
                f"{self.path.name} is {width}x{height} instead of {self._like.width}x{self._like.height}: "
                f"its format needs even sides, so {done}."
            )
        return height, width

    def _add_stream(
        self,
        encoder: Encoder,
        pixel_format: str,
        height: int,
        width: int,
        colour: Colour,
        options: dict[str, str],
    ) -> VideoStream:
        if encoder.codec == "libsvtav1":
            # The encoder writes its settings to stderr, not to FFmpeg's log.
            os.environ.setdefault("SVT_LOG", "1")
        if av.VideoFormat(pixel_format, 2, 2).chroma_width(2) < 2:
            options = {**options, "chroma_sample_location": LEFT}
        stream = self._container.add_stream(
            encoder.codec,
            rate=self._like.frame_rate or 25,
            options=options,
            **stream_arguments(encoder),
        )
        if not isinstance(stream, VideoStream):
            raise TypeError(f"{encoder.codec} is no video encoder")
        context = stream.codec_context
        context.width, context.height = width, height
        context.pix_fmt = encoder.handed_in.get(pixel_format, pixel_format)
        if encoder.tag and self._container.format.name in ("mov", "mp4"):
            context.codec_tag = encoder.tag
        context.time_base = self._like.time_base
        context.sample_aspect_ratio = self._like.pixel_aspect
        is_rgb = not pixel_format.startswith("yuv")
        context.colorspace = code_of(MATRICES, "rgb" if is_rgb else colour.matrix)
        context.color_range = range_code(is_rgb or colour.range == "full")
        context.color_primaries = code_of(PRIMARIES, colour.primaries)
        context.color_trc = code_of(TRANSFERS, colour.transfer)
        context.thread_type = encoder.threading
        context.thread_count = codec_threads()
        if pixel_format == "yuva420p":
            stream.metadata["alpha_mode"] = "1"
        return stream

    def write(self, pixels: AnyArray, at: Frame) -> None:
        check_layer(pixels, (self._channels,))
        if pixels.shape[:2] != (self._like.height, self._like.width):
            raise OptionError(
                f"{self.path.name} takes pictures of {self._like.width}x{self._like.height}, "
                f"got {pixels.shape[1]}x{pixels.shape[0]}."
            )
        pts = self._in_time_base(at.pts, at.time_base)
        if self._last_pts is not None and pts <= self._last_pts:
            raise OptionError(
                f"Frame {at.index} at {float(at.time_seconds):.3f} s is not later than the one before it."
            )
        self._last_pts = pts
        if self._scaled is not None and pixels.shape[1::-1] != self._scaled:
            pixels = cv2.resize(pixels, self._scaled, interpolation=cv2.INTER_AREA)
        frame = self._packer.pack(pixels)
        if self._handed_in is not None:
            frame = self._relayout.reformat(frame, format=self._handed_in)
        frame.pts, frame.time_base = pts, self._like.time_base
        if at.duration:
            self._durations[pts] = self._in_time_base(at.duration, at.time_base)
        with reporting_write_errors(self.path):
            # Sound first, so that the packets that FFmpeg delays for interleaving are small.
            if self._soundtrack is not None:
                self._soundtrack.advance(at.time_seconds)
            self._encode(frame)
        self._frames += 1

    def _in_time_base(self, stamp: int, time_base: Fraction) -> int:
        if time_base == self._like.time_base:
            return stamp
        return math.floor(stamp * time_base / self._like.time_base + Fraction(1, 2))

    def _encode(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            # Most encoders drop the duration of a frame; that of the last one would be a guess.
            duration = self._durations.pop(packet.pts, None) if packet.pts is not None else None
            if duration:
                packet.duration = duration
            if self._frames < 3 and self._stream.codec_context.name == "libx265":
                # It would count back to pictures before the first, in undefined memory. All are in order.
                packet.dts = packet.pts
            self._container.mux(packet)

    def copy(self, packet: Any) -> None:
        """Add a packet, encoded by another sink with the same arguments, instead of a picture.

        Raises:
            OutputError: The packet cannot be written.
        """
        until = Fraction(0) if packet.dts is None else packet.dts * Fraction(packet.time_base)
        packet.stream = self._stream
        with reporting_write_errors(self.path):
            if self._soundtrack is not None:
                self._soundtrack.advance(until)
            self._container.mux(packet)
        self._frames += 1

    def close(self) -> None:
        if self._finished:
            return
        if not self._frames:
            self._discard()
            raise OutputError(f"{self.path} was not written: it got no frame.")
        self._finished = True
        with reporting_write_errors(self.path):
            try:
                self._encode(None)
                if self._soundtrack is not None:
                    self._soundtrack.finish()
            finally:
                self._close_files()
            self._publish()

    def _publish(self) -> None:
        """Give the finished file its name."""
        move_into_place(self.partial, self.path, overwrite=self._overwrite)

    def abort(self) -> Path | None:
        if self._finished:
            return None
        if not self._frames:
            self._discard()
            return None
        self._finished = True
        # Finishing is tried even on a full disk, because the file may play up to the failure.
        try:
            try:
                self._encode(None)
            finally:
                self._close_files()
        except (OSError, av.FFmpegError) as error:
            self.notes.append(f"{self.partial} could not be finished: {reason_of(error)}.")
        self.notes.append(f"The first {self._frames} frames are in {self.partial}.")
        return self.partial

    def _close_files(self) -> None:
        try:
            self._container.close()
        finally:
            if self._soundtrack is not None:
                self._soundtrack.close()

    def _discard(self) -> None:
        self._finished = True
        with contextlib.suppress(OSError, av.FFmpegError):  # it is empty
            self._close_files()
        self._remove()

    def _remove(self) -> None:
        """Remove an empty temporary file."""
        self.partial.unlink(missing_ok=True)


def _describe_losses(path: Path, like: SourceInfo, encoder: Encoder, pixel_format: str) -> Iterator[str]:
    """Note properties of the source for which the format of a result has no place."""
    if like.pixel_aspect != 1 and path.suffix.lower() in (".mkv", ".webm"):
        yield f"{path.name} shows square pixels; those of the source have an aspect of {like.pixel_aspect}."
    if like.tags.reel_name is not None and path.suffix.lower() == ".mp4":
        yield f"{path.name} has no place for the reel's name, {like.tags.reel_name}."
    bits = int(av.VideoFormat(pixel_format, 2, 2).components[0].bits)
    if like.bit_depth > bits:
        yield f"{path.name} has {bits} bits a sample; the source has {like.bit_depth}."
    if like.hdr is not None and encoder.hdr_options is None:
        yield (
            f"{path.name} keeps the source's colours, but {encoder.codec} cannot store the light "
            "levels of the display that they were graded on."
        )


def _describe_tags(path: Path, encoder: Encoder, colour: Colour, written: Colour) -> Iterator[str]:
    """Note colour tags for which the format of a result has no codes."""
    for name, value, kept in (
        ("primaries", colour.primaries, written.primaries),
        ("transfer", colour.transfer, written.transfer),
    ):
        if kept == UNSPECIFIED != value:
            yield (
                f"{encoder.name} has no code for the {name} {value} of {path.name}: only the "
                "container is tagged with it."
            )


def muxer_options(container: Container, time_base: Fraction) -> dict[str, str]:
    """FFmpeg's options for a container."""
    options = {"max_interleave_delta": str(_INTERLEAVE_MICROSECONDS), **container.options}
    if container.name in ("mov", "mp4"):
        # The time of the first frame is kept in units of the whole movie, milliseconds by default.
        ticks = time_base.denominator
        options["movie_timescale"] = str(ticks * max(1, math.ceil(10_000 / ticks)))
    return options

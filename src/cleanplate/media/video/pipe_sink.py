"""Video to a pipe: written in order while it is made, without a temporary file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from cleanplate.errors import OutputError
from cleanplate.frame import AnyArray, Frame
from cleanplate.media.containers.encoders import Encoder
from cleanplate.media.containers.formats import Container, choose_encoder
from cleanplate.media.containers.pipe_formats import piped_container
from cleanplate.media.contract import Encoding, SourceInfo
from cleanplate.media.video.video_sink import VideoSink, muxer_options
from cleanplate.system.pipes import PipeWriter, name_output
from cleanplate.system.system_errors import reason_of

_BUFFER_BYTES = 1 << 20

_USUAL_RATE = 25

_UNTAGGED = ("nut", "yuv4mpegpipe")
"""Containers without a place for the matrix, primaries and transfer of YUV."""


class PipeSink(VideoSink):
    """A :class:`~cleanplate.media.contract.Sink` that writes one stream to standard output or a named pipe.

    Opening a named pipe waits for its reader. If the reader closes its end, ``write`` and ``close`` raise
    :class:`BrokenPipeError`. ``abort`` completes the stream, as far as the reader takes it.
    """

    def __init__(self, path: Path, like: SourceInfo, *, layer: str, audio: bool, encoding: Encoding) -> None:
        self._piped = piped_container(encoding.pipe_format)
        self._is_constant = self._piped[0] == "y4m"
        self._uneven = 0
        self._first_seconds: Fraction | None = None
        self._writer: PipeWriter | None = None
        self._address = path
        has_side_streams = like.has_audio or like.has_subtitles
        self._rate = Fraction(like.frame_rate or _USUAL_RATE)
        if self._is_constant:
            like = replace(like, time_base=1 / self._rate)
        try:
            super().__init__(
                name_output(path),
                like,
                layer=layer,
                overwrite=False,
                audio=audio and not self._is_constant,
                encoding=encoding,
            )
        except BaseException:
            self._let_go()
            raise
        if self._is_constant and audio and has_side_streams:
            self.notes.append("Y4M holds no sound: it is left out.")
        pixel_format = self._stream.codec_context.pix_fmt or ""
        if self._container.format.name in _UNTAGGED and pixel_format.startswith("yuv"):
            colour = like.colour.assumed(like.height, like.width)
            self.notes.append(
                f"{self._piped[0].upper()} cannot tag the colour of {self.path}, {pixel_format}: tell its "
                f"reader matrix {colour.matrix}, primaries {colour.primaries}, transfer {colour.transfer}."
            )

    def _check(self, path: Path, *, overwrite: bool) -> None:
        pass

    def _choose(
        self, path: Path, layer: str, like: SourceInfo, encoding: Encoding
    ) -> tuple[Container, Encoder]:
        return choose_encoder(path, layer, like, encoding, self.notes, self._piped)

    def _open_output(self, container: Container) -> OutputContainer:
        self._writer = PipeWriter(self._address)
        options = muxer_options(container, self._like.time_base)
        return av.open(
            self._writer,
            "w",
            format=container.name,
            container_options={**options, "flush_packets": "1"},
            buffer_size=_BUFFER_BYTES,
        )

    def write(self, pixels: AnyArray, at: Frame) -> None:
        if self._is_constant:
            self._compare_with_rate(at)
            at = replace(at, pts=self._frames, time_base=1 / self._rate, duration=1)
        with self._checked():
            super().write(pixels, at)

    def _compare_with_rate(self, at: Frame) -> None:
        """Count frames whose time is more than half a frame off the constant rate."""
        if self._first_seconds is None:
            self._first_seconds = at.time_seconds
        off = abs(at.time_seconds - self._first_seconds - self._frames / self._rate)
        self._uneven += 2 * off * self._rate > 1

    def close(self) -> None:
        try:
            with self._checked():
                super().close()
        finally:
            self._let_go()
        if self._uneven:
            self.notes.append(
                f"Y4M has a constant rate, {self._rate}: the times of {self._uneven} frames "
                "of a variable rate are lost. NUT keeps them."
            )

    def abort(self) -> Path | None:
        if not self._finished:
            self._finished = True
            if self._writer is not None:
                self._writer.interrupt()
            with contextlib.suppress(OSError, av.FFmpegError):
                self._close_files()
            self._let_go()
        return None

    def interrupt(self) -> None:
        """End a write that waits for the reader; may be called from another thread."""
        if self._writer is not None:
            self._writer.interrupt()

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        """Raise the error of the pipe itself, which FFmpeg does not see."""
        yield
        if self._writer is not None:
            try:
                self._writer.check()
            except BrokenPipeError:
                raise
            except OSError as error:
                raise OutputError(f"{self.path} cannot be written: {reason_of(error)}.") from error

    def _let_go(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _publish(self) -> None:
        pass

    def _remove(self) -> None:
        self._let_go()

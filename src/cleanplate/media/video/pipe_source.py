"""Video from a pipe: read once, from its start, without a temporary file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.video.stream import VideoStream

from cleanplate.errors import InputError
from cleanplate.media.containers.opening import open_piped
from cleanplate.media.containers.playback import Playback
from cleanplate.media.contract import Reading
from cleanplate.media.video.video_source import VideoSource, video_stream
from cleanplate.system.cores import codec_threads
from cleanplate.system.pipes import PipeReader, name_input

_CAUSE = "look for an error of the program before the pipe"

_MOST_BETWEEN = 1 << 14
"""Most bytes between two packets of NUT: some 30 of a syncpoint, or a repeated header with all metadata."""

_INDEX_END = 12
"""Bytes at the end of NUT's index: its own length, and a checksum (NUT specification, "index")."""


class PipeSource(VideoSource):
    """A :class:`~cleanplate.media.contract.Source` that decodes the first video stream of a pipe.

    Frames keep the stamps of the stream. Sound and subtitles are not read: they would need a second pass.

    Attributes:
        failure: Set at the end of the frames, if the stream ends within a frame or has wrong bytes: the
            program before has failed, and the result, which is complete up to there, is not the whole.
    """

    def __init__(self, path: Path, reading: Reading) -> None:
        self._reader = PipeReader(path)
        self._is_cut = False
        self.failure: InputError | None = None
        self._end_of_last = 0
        try:
            super().__init__(path, reading)
        except BaseException:
            self._reader.close()
            raise

    def _open(self, path: Path) -> Playback:
        if self._reading.hardware != "off":
            self.notes.append(f"{name_input(path)} is decoded by the processor.")

        def open_pictures() -> tuple[InputContainer, VideoStream]:
            container = open_piped(path, self._reader)
            try:
                stream = video_stream(name_input(path), container)
                if stream.codec_context.name != "rawvideo":
                    stream.thread_type = "AUTO"
                    stream.codec_context.thread_count = codec_threads()
                return container, stream
            except BaseException:
                container.close()
                raise

        self._path = name_input(path)
        try:
            return Playback(open_pictures, self._read_packets, deinterlace=self._deinterlaces)
        except LookupError:
            self._reader.check()
            raise InputError(
                f"{self._path} ends within its first frame.",
                "look for an error of the program before the pipe",
            ) from None

    def _describe(self, *arguments: Any) -> None:
        super()._describe(*arguments)
        info = self.info
        if info.has_audio or info.has_subtitles:
            self.notes.append(
                f"The sound and subtitles of {self._path} are left out: a pipe can be read once only."
            )
        self.info = replace(info, has_audio=False, has_subtitles=False)

    def _read_packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Any]:
        """The packets of the stream without one that is cut at the end."""
        is_raw = stream.codec_context.name == "rawvideo"
        whole: int | None = None
        for packet in container.demux():
            self._meet_gap(packet, container.format.name)
            if packet.stream is not stream:
                continue
            if packet.size:
                # Raw pictures are of one size.
                if is_raw and whole is not None and packet.size < whole:
                    self._is_cut = True
                    break
                if packet.is_corrupt and self._reader.at_end:
                    self._is_cut = True
                    break
                whole = packet.size
            yield packet
        self._reader.check()

    def _meet_gap(self, packet: Any, format_name: str) -> None:
        """Notice bytes between two packets that belong to no packet: NUT's demuxer leaves out wrong ones."""
        if packet.size and packet.pos is not None:
            if format_name == "nut" and packet.pos - self._end_of_last > _MOST_BETWEEN:
                self._lose(f"{self._path} has wrong bytes before byte {packet.pos}, so that frames are lost.")
            self._end_of_last = packet.pos + packet.size

    def _note_loss(self, frames: int) -> None:
        super()._note_loss(frames)
        if self._is_cut or self._has_rest():
            self._lose(f"{self._path} is cut short or damaged: it ends within frame {frames}.")

    def _has_rest(self) -> bool:
        """Tell whether bytes follow the last whole frame that belong to no frame."""
        rest = self._reader.total - self._end_of_last
        name = self._playback.container.format.name
        if name == "nut":
            ending = self._reader.ending[-_INDEX_END:]
            return rest > 0 and not 0 < int.from_bytes(ending[:8], "big") <= rest
        return name == "yuv4mpegpipe" and rest > 0

    def _lose(self, sentence: str) -> None:
        self.failure = self.failure or InputError(sentence, f"the result has the intact frames; {_CAUSE}")

    def start_at(self, index: int, pts: int) -> None:  # noqa: ARG002 - a promise
        raise InputError(f"{self._path} can only be read from its start.")

    def interrupt(self) -> None:
        """End the stream for the reading thread; may be called from another one."""
        self._reader.interrupt()

    def close(self) -> None:
        super().close()
        self._reader.close()

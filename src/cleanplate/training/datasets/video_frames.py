"""Random access to frames of a video file: a seek to the key frame before, then minimal decoding."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from cleanplate.errors import InputError
from cleanplate.media import Colour, Picture
from cleanplate.media.containers.opening import open_container
from cleanplate.media.files import check_readable
from cleanplate.media.video import unpacking
from cleanplate.media.video.video_source import video_stream
from cleanplate.system.system_errors import reason_of

_KEY_FRAME_SPACING_SECONDS = 1.0


class VideoFile:
    """A video with access to frames by their number, in the order of presentation.

    The times of the frames are read from the packets at the first access, without decoding; they take 8 bytes
    a frame and are not pickled.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count: int | None = None
        self._times: list[int] = []
        self._key_times: list[int] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_times": [], "_key_times": []}

    def name_of(self, index: int) -> str:
        """Name a frame in a sentence."""
        return f"frame {index} of {self.path}"

    def __len__(self) -> int:
        """Number of frames in the container's header; they are counted if there is none (Matroska)."""
        if self._count is None:
            with self._opened() as container:
                self._count = video_stream(self.path, container).frames
            self._count = self._count or len(self._index())
        return self._count

    def count_frames(self) -> int:
        """Count the frames, regardless of the container's header."""
        return len(self._index())

    def read(self, start: int, length: int) -> Iterator[Picture]:
        """Decode ``length`` frames from number ``start`` on.

        Raises:
            InputError: A frame does not exist or cannot be decoded.
        """
        times = self._index()
        if start + length > len(times):
            raise InputError(
                f"{self.path} has {len(times)} frames, so there is no frame {start + length - 1}.",
                "is the file complete?",
            )
        if length < 1:
            return
        first, missing = times[start], length
        with self._opened() as container:
            stream = video_stream(self.path, container)
            stream.codec_context.thread_count = 1  # training uses one process a core
            unpacker: unpacking.Unpacker | None = None
            if start:
                container.seek(first, stream=stream)
            for frame in self._decode(container, stream, first):
                if frame.is_corrupt:
                    raise InputError(f"{self.name_of(start + length - missing)} is damaged.")
                unpacker = unpacker or _unpacker_for(frame)
                yield Picture(unpacker.unpack(frame), None, None)
                missing -= 1
                if not missing:
                    return
        raise InputError(
            f"{self.name_of(start + length - missing)} could not be decoded.", "is the file complete?"
        )

    def key_frames(self) -> list[int]:
        """List the numbers of key frames that are at least a second apart."""
        times = self._index()
        with self._opened() as container:
            spacing = _KEY_FRAME_SPACING_SECONDS / float(video_stream(self.path, container).time_base or 1)
        chosen: list[int] = []
        for key in self._key_times:
            if not chosen or key - times[chosen[-1]] >= spacing:
                chosen.append(bisect_left(times, key))
        return chosen or [0]

    def _index(self) -> list[int]:
        """Read the times of all frames, ascending, in the stream's units."""
        if not self._times:
            times: list[int | None] = []
            keys: list[int] = []
            with self._opened() as container:
                for packet in self._packets(container, video_stream(self.path, container)):
                    if packet.size and not packet.is_discard:
                        times.append(packet.pts)
                        if packet.is_keyframe and packet.pts is not None:
                            keys.append(packet.pts)
            distinct = {time for time in times if time is not None}
            if len(distinct) != len(times):
                raise InputError(
                    f"{self.path} has frames without a time stamp.", "convert it to MP4 or Matroska"
                )
            if not times:
                raise InputError(f"{self.path} has no frames.")
            self._times, self._key_times = sorted(distinct), sorted(keys)
        return self._times

    def _decode(self, container: InputContainer, stream: VideoStream, first: int) -> Iterator[av.VideoFrame]:
        """Decode frames from the time ``first`` on; earlier ones without references to them are skipped."""
        for packet in self._packets(container, stream):
            early = packet.pts is not None and packet.pts < first
            stream.codec_context.skip_frame = "NONREF" if early else "DEFAULT"
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                raise InputError(f"{self.path} is damaged: {reason_of(error)}.") from error
            yield from (frame for frame in frames if frame.pts is not None and frame.pts >= first)

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Any]:
        try:
            yield from container.demux(stream)
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{self.path} cannot be read to its end: {reason_of(error)}.") from error

    def _opened(self) -> InputContainer:
        check_readable(self.path, "a video")
        return open_container(self.path)


def _unpacker_for(frame: av.VideoFrame) -> unpacking.Unpacker:
    colour = Colour.from_codes(frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc)
    return unpacking.Unpacker(
        frame.height,
        frame.width,
        unpacking.bit_depth(frame),
        colour.assumed(frame.height, frame.width),
        unpacking.orientation(frame),
    )

"""Deinterlacing: one whole picture for each frame of two fields, by FFmpeg's filter bwdif.

A frame of two fields shows two moments. A network sees the teeth at moving edges as texture, and alpha gets
them as well. bwdif keeps the first field and computes the rows of the second one for the same moment, from
the frames before and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import av
from av.filter import Graph
from av.video.stream import VideoStream

_TOP_FIRST, _BOTTOM_FIRST = (2, 5), (3, 4)
"""FFmpeg's numbers (AVFieldOrder) of the orders in which the top field, or the bottom one, is shown first."""

_SILENT_DECODERS = ("cfhd", "ffvhuff", "huffyuv", "jpeg2000", "magicyuv", "png", "qtrle", "utvideo")
"""Decoders that mark no frame as interlaced, so that the container's field order counts. Found by decoding
files of ffmpeg with ``-field_order tt`` in each codec that it encodes."""


Companion = TypeVar("Companion")


@dataclass(frozen=True)
class Fields:
    """Fields of a stream's frames.

    Attributes:
        parity: bwdif's name of the field that is shown first in all frames; ``auto``: each frame has a mark
            of its own.
    """

    parity: str = "auto"

    @classmethod
    def of(cls, stream: VideoStream) -> Fields:
        """Read the container's field order, where the decoder's frames have no marks; before decoding."""
        context = stream.codec_context
        order = getattr(context, "field_order", 0)  # PyAV 17 has no such name
        if context.name not in _SILENT_DECODERS or order not in _TOP_FIRST + _BOTTOM_FIRST:
            return cls()
        return cls("tff" if order in _TOP_FIRST else "bff")

    def are_in(self, frame: av.VideoFrame) -> bool:
        """Tell whether a frame is interlaced."""
        return self.parity != "auto" or frame.interlaced_frame


class Deinterlacer(Generic[Companion]):
    """Replaces the interlaced frames of a stream; the others pass through, in order, unchanged.

    A result depends on the frame, the one before and the one after, so reading from any frame on gives the
    same pictures as reading all.

    Args:
        fields: Fields of the stream.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._graph: Graph | None = None
        # Frames in the filter, which gives each when it has the next one. None: not wanted again.
        self._pending: list[tuple[av.VideoFrame, Companion] | None] = []

    def run(
        self, frames: Iterable[tuple[av.VideoFrame, Companion]]
    ) -> Iterator[tuple[av.VideoFrame, Companion]]:
        """The frames, each with its companion; reads one ahead once it has met an interlaced one."""
        before: av.VideoFrame | None = None
        for frame, companion in frames:
            if before is not None and _kind_of(before) != _kind_of(frame):
                yield from self._flush()
                before = None
            if self._graph is None and self._fields.are_in(frame):
                self._graph = _open_graph(*_kind_of(frame), self._fields.parity)
                if before is not None:
                    yield from self._push(before, None)
            if self._graph is None:
                yield frame, companion
            else:
                yield from self._push(frame, (frame, companion))
            before = frame
        yield from self._flush()

    def _push(
        self, frame: av.VideoFrame | None, pending: tuple[av.VideoFrame, Companion] | None
    ) -> Iterator[tuple[av.VideoFrame, Companion]]:
        """Give the filter a frame, or None at the end, and take what it has finished."""
        if self._graph is None:
            return
        self._graph.vpush(frame)
        if frame is not None:
            self._pending.append(pending)
        while self._pending:
            try:
                whole = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            finished = self._pending.pop(0)
            if finished is None:
                continue
            if not self._fields.are_in(finished[0]):
                yield finished
                continue
            whole.pts = finished[0].pts
            yield whole, finished[1]

    def _flush(self) -> Iterator[tuple[av.VideoFrame, Companion]]:
        yield from self._push(None, None)
        self._graph = None
        self._pending.clear()


def _kind_of(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _open_graph(width: int, height: int, pixel_format: str, parity: str) -> Graph:
    graph = Graph()
    size = f"video_size={width}x{height}:pix_fmt={pixel_format}:time_base=1/1:pixel_aspect=1/1"
    which = "interlaced" if parity == "auto" else "all"
    source = graph.add("buffer", size)
    filtered = graph.add("bwdif", f"mode=send_frame:parity={parity}:deint={which}")
    sink = graph.add("buffersink")
    source.link_to(filtered)
    filtered.link_to(sink)
    graph.configure()
    return graph

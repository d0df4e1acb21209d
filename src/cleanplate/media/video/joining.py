"""Joining of segments to one file without encoding again, with the time stamps of one encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

from cleanplate.errors import OutputError
from cleanplate.media.containers.opening import open_media
from cleanplate.media.video.video_sink import VideoSink

# In files of the MP4 family packets of these two have lengths; a muxer with the encoder's own header
# expects start codes, as from the encoder.
_START_CODES = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}

_HINT = "start again with --overwrite"

_DEEPEST = 32
"""Largest number of pictures that an encoder may delay for reordering."""


def join(segments: Sequence[Path], frames: Sequence[int], whole: VideoSink) -> None:
    """Copy the packets of all segments to one file.

    Args:
        segments: Files of sinks with the arguments of ``whole``, in the order of time.
        frames: Number of frames of each.
        whole: Sink for all of them; the caller closes it.

    Raises:
        OutputError: A segment is damaged, or the disk is full.
    """
    clock = _DecodingClock()
    for path, expected in zip(segments, frames, strict=True):
        count = 0
        try:
            with open_media(path) as container:
                for packet in _read(container):
                    clock.set(packet, begins=count == 0)
                    whole.copy(packet)
                    count += 1
        except (IndexError, av.InvalidDataError):
            count = -1
        if count != expected:
            raise OutputError(f"{path} is damaged: it should have {expected} frames.", _HINT)


def _read(container: InputContainer) -> Iterator[Any]:
    stream = container.streams.video[0]
    name = _START_CODES.get(stream.codec_context.codec.canonical_name)
    rewrite = None if name is None else BitStreamFilterContext(name, stream)
    for packet in container.demux(stream):
        if rewrite is not None:
            yield from rewrite.filter(packet if packet.size else None)
        elif packet.size:
            yield packet


class _DecodingClock:
    """Computes the decoding times of reordered pictures, as from one encoder.

    An encoder with a delay of ``d`` pictures sets the decoding time of a packet to the presentation time of
    the picture ``d`` places before it in the order of presentation. For the first ``d`` packets it invents
    times; in all segments but the first, the real times are known. Matroska stores no decoding times: its
    demuxer derives them, except for the first ``d`` packets of a file, or for all if there are few.
    """

    def __init__(self) -> None:
        self._delay: int | None = None
        self._begin = self._early = 0
        self._before: list[int] = []
        self._shown: list[int] = []

    def set(self, packet: Any, *, begins: bool) -> None:
        """Set the packet's ``dts``; ``begins``: it is the first of a segment."""
        if packet.pts is None:
            raise OutputError("A segment is damaged: it has a packet without a time.", _HINT)
        if begins:
            if self._shown and self._delay is None:
                self._delay = self._early
            self._before = sorted(self._shown)[len(self._shown) - (self._delay or 0) :]
            self._shown, self._begin, self._early = [], packet.pts, 0
        count = len(self._shown)
        if packet.dts is None and self._before and count >= len(self._before):
            # The last packets of a segment of few frames have none either.
            packet.dts = sorted([*self._shown, packet.pts])[count - len(self._before)]
        elif packet.dts is None or packet.dts < self._begin:
            if self._early < len(self._before):
                packet.dts = self._before[self._early]
            elif packet.dts is None:
                packet.dts = self._begin - _DEEPEST + self._early
            self._early += 1
        self._shown.append(packet.pts)
        if len(self._shown) > 2 * _DEEPEST:
            self._shown = sorted(self._shown)[-_DEEPEST:]

"""Decoding of packets to pictures in the order of presentation, with damaged and lost ones marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import av
from av.codec import CodecContext
from av.codec.codec import UnknownCodecError
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from cleanplate.system.system_errors import reason_of

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

_MOST_PENDING = 1000
"""Largest number of packets without a picture so far; a decoder with more of them has stopped."""


@dataclass(frozen=True)
class DecodedPicture:
    """One picture of a stream.

    Attributes:
        frame: The decoded frame; None if all of it was lost.
        pts: Its stamp in the stream's time base; None without one.
        duration: Time on screen in the same units; None if the file has none.
        damaged: Whether some or all of it is missing.
    """

    frame: av.VideoFrame | None
    pts: int | None
    duration: int | None
    damaged: bool = False


class Decoder:
    """Decodes one stream; iterated once. Damage is counted, not raised.

    Decoding begins with a key frame: without one, the pictures are grey and smeared, or missing.

    Args:
        stream: A stream of an open file.
        packets: Packets of the stream, from its start, or from any key frame on.
        wait_for_key: False for streams without marked key frames.

    VP8 and VP9 store alpha beside the pictures, which FFmpeg's own decoders ignore: streams with a tag for
    alpha are decoded by libvpx.

    Attributes:
        skipped: Packets before the first key frame.
        damaged_packets: Packets that could not be decoded and whose times are unknown.
        stopped: FFmpeg's message if reading ended before the end of the file.
    """

    def __init__(self, stream: VideoStream, packets: Iterator[Any], *, wait_for_key: bool = True) -> None:
        self.skipped = 0
        self.damaged_packets = 0
        self.stopped: str | None = None
        self._decoder = _alpha_decoder(stream) or stream.codec_context
        self._packets = packets
        self._waiting = wait_for_key
        # Durations of the pictures inside the decoder, by stamps.
        self._pending: dict[int, int | None] = {}
        self._hurt: set[int] = set()

    def __iter__(self) -> Iterator[DecodedPicture]:
        for packet in self._read():
            for frame in self._decode(packet):
                if frame.pts is None:
                    yield DecodedPicture(frame, None, frame.duration or None, frame.is_corrupt)
                    continue
                yield from self._lost_before(frame.pts)
                self._pending.pop(frame.pts, None)
                damaged = frame.is_corrupt or frame.pts in self._hurt
                self._hurt.discard(frame.pts)
                yield DecodedPicture(frame, frame.pts, frame.duration or None, damaged)
        yield from self._lost_before(None)

    def _read(self) -> Iterator[Any]:
        """All packets to be decoded, and None at the end, which flushes the decoder."""
        while True:
            try:
                packet = next(self._packets, None)
            except (av.FFmpegError, OSError) as error:
                self.stopped = reason_of(error)
                break
            if packet is None or not packet.size:
                break
            if self._waiting and not packet.is_keyframe:
                self.skipped += 1
                continue
            self._waiting = False
            yield packet
        yield None

    def _decode(self, packet: Any) -> list[av.VideoFrame]:
        if packet is not None and packet.pts is not None and not packet.is_discard:
            if len(self._pending) >= _MOST_PENDING:
                self._pending.pop(next(iter(self._pending)))
            self._pending[packet.pts] = packet.duration or None
            if packet.is_corrupt and len(self._hurt) < _MOST_PENDING:
                self._hurt.add(packet.pts)
        try:
            return self._decoder.decode(packet)
        except (av.FFmpegError, OSError):
            self.damaged_packets += 1
            return []

    def _lost_before(self, pts: int | None) -> Iterator[DecodedPicture]:
        """Lost pictures: those before the last decoded one, or all missing ones at the end (None).

        Healthy files have packets without a picture too (hidden reference frames, second fields), so only as
        many count as lost as the decoder reported errors for.
        """
        gone = sorted(stamp for stamp in self._pending if pts is None or stamp < pts)
        for stamp in gone:
            duration = self._pending.pop(stamp)
            if self.damaged_packets > 0:
                self.damaged_packets -= 1
                yield DecodedPicture(None, stamp, duration, damaged=True)
            elif stamp in self._hurt:
                yield DecodedPicture(None, stamp, duration, damaged=True)
            self._hurt.discard(stamp)


def _alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """The decoder that supports alpha of VP8 and VP9; None for streams without alpha."""
    name = _ALPHA_DECODERS.get(stream.codec_context.codec.canonical_name)
    tagged = any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())
    if name is None or not tagged:
        return None
    try:
        decoder = cast(VideoCodecContext, CodecContext.create(name, "r"))
    except UnknownCodecError:
        return None
    decoder.thread_count = stream.codec_context.thread_count
    return decoder

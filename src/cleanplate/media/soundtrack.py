"""The sound of a source file, brought into the output in step with the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream
from av.codec import CodecContext
from av.container import OutputContainer

from cleanplate.media.base import SourceInfo
from cleanplate.media.formats import Container

_BITS_PER_CHANNEL = 96_000
_RATES = {"libopus": 48_000}


class Soundtrack:
    """Copies all audio streams packet by packet; those that the container cannot hold are encoded anew.

    The file is read a second time, beside the pictures, so that no more than a moment of sound is ever held.

    Args:
        like: Its ``path`` has the sound; ``clock_start`` is taken off the time stamps.
        output: A file of ``container`` whose header is not written yet.
        container: Knows what it can hold, and the encoder for the rest.
        notes: Told what was encoded anew.
    """

    def __init__(
        self, like: SourceInfo, output: OutputContainer, container: Container, notes: list[str]
    ) -> None:
        self._output = output
        self._clock_start = like.clock_start
        self._input = av.open(str(like.path), metadata_errors="replace")
        self._copies: dict[int, AudioStream] = {}
        self._encoders: dict[int, AudioStream] = {}
        self._last_dts: dict[int, int] = {}
        for stream in self._input.streams.audio:
            codec: CodecContext | None = stream.codec_context
            if codec is None:
                notes.append(
                    f"The audio of {like.path.name} is in a codec that FFmpeg does not know: left out."
                )
            elif codec.codec.canonical_name.startswith(container.audio_codecs):
                self._copies[stream.index] = output.add_stream_from_template(stream)
            else:
                spare_codec = container.spare_audio_codec
                self._encoders[stream.index] = _add_encoder(output, stream, spare_codec)
                notes.append(
                    f"The audio was encoded anew: {codec.name} does not go into "
                    f"{output.format.name}, so it is {spare_codec.removeprefix('lib')}."
                )
        self._packets = self._read()
        self._next = next(self._packets, None)

    def _read(self) -> Iterator[tuple[Fraction, Any]]:
        streams = [
            s for s in self._input.streams.audio if s.index in self._copies or s.index in self._encoders
        ]
        if not streams:
            return
        latest = Fraction(0)
        for packet in self._input.demux(streams):
            stamp = packet.pts if packet.dts is None else packet.dts
            if stamp is not None and packet.time_base:
                latest = stamp * Fraction(packet.time_base) - self._clock_start
            yield latest, packet

    def advance(self, until: Fraction) -> None:
        """Bring in what sounds up to ``until`` seconds."""
        while self._next is not None and self._next[0] <= until:
            self._mux(self._next[1])
            self._next = next(self._packets, None)

    def finish(self) -> None:
        """Bring in all the rest."""
        while self._next is not None:
            self._mux(self._next[1])
            self._next = next(self._packets, None)
        for stream in self._encoders.values():
            self._output.mux(stream.encode(None))

    def close(self) -> None:
        self._input.close()

    def _mux(self, packet: Any) -> None:
        index = packet.stream.index
        if index in self._encoders:
            try:
                frames = packet.decode()
            except av.FFmpegError:
                return  # a damaged packet: a moment of silence
            for frame in frames:
                if frame.pts is not None:
                    frame.pts -= round(self._clock_start / frame.time_base)
                self._output.mux(self._encoders[index].encode(frame))
            return
        if packet.dts is None or packet.size == 0:
            return
        if packet.dts <= self._last_dts.get(index, packet.dts - 1):
            return  # the clock went back; containers refuse that
        self._last_dts[index] = packet.dts
        shift = round(self._clock_start / Fraction(packet.time_base))
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
        packet.stream = self._copies[index]
        self._output.mux(packet)


def _add_encoder(output: OutputContainer, source: AudioStream, codec: str) -> AudioStream:
    rate = _RATES.get(codec, source.codec_context.sample_rate)
    stream = output.add_stream(codec, rate=rate)
    if not isinstance(stream, AudioStream):
        raise TypeError(f"{codec} is no audio encoder")
    stream.codec_context.layout = source.codec_context.layout.name
    stream.codec_context.bit_rate = _BITS_PER_CHANNEL * source.codec_context.layout.nb_channels
    return stream

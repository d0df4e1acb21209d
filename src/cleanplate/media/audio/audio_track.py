"""Transfer of one audio track from a source to an output: copied packet by packet, or encoded again."""

from __future__ import annotations

import math
from fractions import Fraction
from types import MappingProxyType
from typing import Any, TypeAlias

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.format import AudioFormat
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.codec import Codec, CodecContext
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer

from cleanplate.frame import AnyArray
from cleanplate.media.containers.formats import Container
from cleanplate.media.containers.timeline import GLITCH_SECONDS, Timeline
from cleanplate.media.spans import Span

PREROLL_SECONDS = Fraction(1)
"""Length of sound before a cut that a decoder needs to give the same samples after it."""

_BITS_PER_CHANNEL = 96_000
_LOSSLESS = ("pcm_", "flac", "alac")

_USUAL_LAYOUTS = MappingProxyType(
    {
        "1 channels": "mono",
        "2 channels": "stereo",
        "3 channels": "3.0",
        "4 channels": "4.0",
        "5 channels": "5.0",
        "6 channels": "5.1",
        "7 channels": "6.1",
        "8 channels": "7.1",
    }
)

# Containers with time stamps below 0, for sound that is decoded but not played.
_HIDES_PREROLL = ("mov", "mp4")

# Containers round time stamps to milliseconds; only more than that is a gap.
_TOLERANCE_SECONDS = Fraction(1, 100)
_LONGEST_SILENCE_SECONDS = Fraction(10)


Packet: TypeAlias = "av.Packet[Any]"


class Track:
    """Writer of one audio track's packets to the output, in order.

    Args:
        source: The track.
        clock_start: Seconds to subtract from its time stamps.
        span: Part to write, on the shifted clock; None for all.

    Attributes:
        stream: Stream of the output.
    """

    stream: AudioStream

    def __init__(self, source: AudioStream, clock_start: Fraction, span: Span | None) -> None:
        self._time_base = Fraction(source.time_base or Fraction(1, 1000))
        self._span = span
        rate = source.codec_context.sample_rate or 48_000
        usual = max(1, round(Fraction(1024, rate) / self._time_base))
        self._timeline = Timeline(self._time_base, usual, round(clock_start / self._time_base))

    def stamp(self, packet: Packet) -> Fraction | None:
        """Move a packet to the output's clock and return its time; None if it has none."""
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None:
            return None
        placed, _ = self._timeline.place(stamp, packet.duration or None)
        packet.pts = placed + (0 if packet.pts is None else packet.pts - stamp)
        packet.dts = placed
        return placed * self._time_base

    def take(self, packet: Packet) -> None:
        """Write a stamped packet."""
        raise NotImplementedError

    def finish(self) -> None:
        """Flush the remaining packets."""


class CopiedTrack(Track):
    """Copies packets without decoding; a span is cut as exactly as the container allows.

    ``.mov`` and ``.mp4`` hide the sound before the span: it is decoded, but not played.
    Other containers begin with the first packet within the span.
    """

    def __init__(
        self, source: AudioStream, clock_start: Fraction, span: Span | None, output: OutputContainer
    ) -> None:
        super().__init__(source, clock_start, span)
        self._output = output
        self.stream = output.add_stream_from_template(source)
        context = source.codec_context
        self._rate = rate = context.sample_rate or 48_000
        # Packets of one length have no gaps between them, which Matroska's milliseconds cannot express.
        self._length = Fraction(context.frame_size or 0, rate)
        self._is_even = bool(self._length) or context.name.endswith("opus")
        self._is_coarse = self._time_base > Fraction(1, rate)
        self._following: Fraction | None = None
        self._unit = Fraction(1, rate) if self._is_coarse and self._is_even else self._time_base
        hides = output.format.name in _HIDES_PREROLL
        self._earliest = -int(PREROLL_SECONDS / self._unit) if hides else 0
        self._end: int | None = None
        if span is not None and span.end_seconds is not None:
            self._end = round(span.end_seconds / self._unit)

    def stamp(self, packet: Packet) -> Fraction | None:
        begin = super().stamp(packet)
        if begin is None or not (self._is_coarse and self._is_even):
            return begin
        if self._following is not None and abs(begin - self._following) <= 2 * self._time_base:
            begin = self._following
        else:
            # Containers round the time of the first played sample, not of the pre-roll.
            silent = _skipped_samples(packet) * Fraction(1, self._rate)
            begin = _to_ticks(begin + silent, self._time_base) * self._time_base - silent
        length = self._length or (packet.duration or 0) * self._time_base
        self._following = begin + length
        packet.pts = packet.dts = _to_ticks(begin, self._unit)
        packet.duration = round(length / self._unit)
        packet.time_base = self._unit
        return begin

    def take(self, packet: Packet) -> None:
        if self._span is not None and packet.pts is not None:
            if packet.pts < self._earliest or (self._end is not None and packet.pts >= self._end):
                return
            if self._end is not None and packet.duration:
                packet.duration = min(packet.duration, self._end - packet.pts)
        packet.stream = self.stream
        self._output.mux(packet)


class EncodedTrack(Track):
    """Decodes and encodes, cut to the sample; gaps become silence, so that the sound stays in sync."""

    def __init__(
        self,
        source: AudioStream,
        clock_start: Fraction,
        span: Span | None,
        output: OutputContainer,
        codec: str,
    ) -> None:
        super().__init__(source, clock_start, span)
        self._source = source
        self._output = output
        self.stream = _add_encoder(output, source, codec)
        self._kind: tuple[str, str, int] | None = None
        self._next: int | None = None
        self._offset = 0

    def take(self, packet: Packet) -> None:
        self._decode(packet)

    def _decode(self, packet: Packet | None) -> None:
        try:
            frames = self._source.decode(packet)
        except (av.FFmpegError, OSError):
            return  # a damaged packet: silence until the next
        for frame in frames:
            if frame.pts is not None and frame.samples:
                self._bring(frame)

    def _bring(self, frame: av.AudioFrame) -> None:
        """Add decoded sound at its time, or directly after the sound before it if the times nearly agree."""
        rate = frame.sample_rate
        kind = (frame.format.name, frame.layout.name, rate)
        self._kind = self._kind or kind
        if kind != self._kind:
            return  # sound that changes its kind in the middle is silence from there on
        if frame.layout.name in _USUAL_LAYOUTS:
            named = _frame_like(frame, frame.to_ndarray())
            named.pts, named.time_base = frame.pts, frame.time_base
            frame = named
        stamp = (frame.pts or 0) * Fraction(frame.time_base or self._time_base)
        position = round(stamp * rate) + self._offset
        if self._next is None:
            self._next = position
        ahead = position - self._next
        if not -GLITCH_SECONDS * rate < ahead < _LONGEST_SILENCE_SECONDS * rate:
            self._offset -= ahead  # the clock was reset
            ahead = 0
        if ahead > _TOLERANCE_SECONDS * rate:
            self._add(_silence_like(frame, ahead))
        repeated = -ahead if ahead < -_TOLERANCE_SECONDS * rate else 0
        if repeated < frame.samples:
            self._add(_part_of(frame, repeated, frame.samples))

    def _add(self, frame: av.AudioFrame) -> None:
        """Encode the part of the next sound within the span."""
        position, rate = self._next or 0, frame.sample_rate
        self._next = position + frame.samples
        begin, end = 0, frame.samples
        if self._span is not None:
            begin = max(0, -position)
            if self._span.end_seconds is not None:
                end = min(end, round(self._span.end_seconds * rate) - position)
        if begin >= end:
            return
        wanted = _part_of(frame, begin, end)
        wanted.pts, wanted.time_base = position + begin, Fraction(1, rate)
        self._mux(wanted)

    def _mux(self, frame: av.AudioFrame | None) -> None:
        try:
            packets = self.stream.encode(frame)
        except (av.FFmpegError, ValueError):
            return  # damaged sound can hold NaN, which encoders refuse
        self._output.mux(packets)

    def finish(self) -> None:
        self._decode(None)
        self._mux(None)


def open_track(
    source: AudioStream,
    clock_start: Fraction,
    span: Span | None,
    output: OutputContainer,
    container: Container,
) -> tuple[Track, str]:
    """Open the transfer of one audio track; returns it with a note on its losses, empty without losses.

    Raises:
        av.FFmpegError, ValueError: The file lacks data on the track, or the encoder refuses it.
    """
    context = source.codec_context
    audio_format: AudioFormat | None = context.format
    if not context.sample_rate or not context.layout.nb_channels or audio_format is None:
        raise ValueError("the header of the track is damaged")
    codec = context.codec
    held = codec.canonical_name.startswith(container.audio_codecs)
    if held and span is not None and codec.canonical_name.startswith(_LOSSLESS) and _can_encode(codec.name):
        return EncodedTrack(source, clock_start, span, output, codec.name), ""
    if not held:
        spare = container.spare_audio_codec
        return EncodedTrack(source, clock_start, span, output, spare), (
            f"The audio was encoded again, as {spare.removeprefix('lib')}: {output.format.name} cannot "
            f"hold {codec.canonical_name}."
        )
    note = ""
    if span is not None and output.format.name not in _HIDES_PREROLL:
        name = codec.canonical_name
        note = (
            f"The audio stays in sync, but {output.format.name} can cut {name} only between packets: a few "
            "hundredths of a second may be missing at the start or added at the end."
        )
    return CopiedTrack(source, clock_start, span, output), note


def _to_ticks(seconds: Fraction, tick: Fraction) -> int:
    return math.floor(seconds / tick + Fraction(1, 2))


def _skipped_samples(packet: Packet) -> int:
    """Samples at the start of a packet that are decoded but not played."""
    if not packet.has_sidedata("skip_samples"):
        return 0
    return int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[:4], "little")


def _can_encode(codec: str) -> bool:
    try:
        Codec(codec, "w")
    except UnknownCodecError:
        return False
    return True


def _add_encoder(output: OutputContainer, source: AudioStream, codec: str) -> AudioStream:
    """Add an encoded stream with the source's format of sound.

    Raises:
        av.FFmpegError, ValueError: The encoder refuses it.
    """
    rate = _nearest_rate(Codec(codec, "w"), source.codec_context.sample_rate)
    trial = CodecContext.create(codec, "w")
    if not isinstance(trial, AudioCodecContext):
        raise TypeError(f"{codec} is no audio encoder")
    trial.sample_rate, trial.time_base = rate, Fraction(1, rate)
    _set_up(trial, source.codec_context)
    trial.open()  # a stream cannot be taken back
    stream = output.add_stream(codec, rate=rate)
    if not isinstance(stream, AudioStream):
        raise TypeError(f"{codec} is no audio encoder")
    _set_up(stream.codec_context, source.codec_context)
    return stream


def _set_up(encoder: AudioCodecContext, source: AudioCodecContext) -> None:
    formats = [f.name for f in encoder.codec.audio_formats or ()]
    is_lossless = encoder.name.startswith(_LOSSLESS)
    # Samples with more bits than the encoder's default are kept if the encoder has them.
    encoder.format = source.format if is_lossless and source.format.name in formats else formats[0]
    encoder.layout = _layout_of(source.layout)
    if not is_lossless:
        encoder.bit_rate = _BITS_PER_CHANNEL * source.layout.nb_channels


def _layout_of(layout: AudioLayout) -> str:
    """Name of the channel layout; for plain PCM, which has only a number of channels, the usual layout."""
    return _USUAL_LAYOUTS.get(layout.name, layout.name)


def _nearest_rate(codec: Codec, rate: int) -> int:
    """The source's rate, or the next higher one that the encoder has, or its highest."""
    rates = sorted(codec.audio_rates or ())
    if not rates or rate in rates:
        return rate
    return next((r for r in rates if r > rate), rates[-1])


def _part_of(frame: av.AudioFrame, begin: int, end: int) -> av.AudioFrame:
    """The samples from ``begin`` up to ``end``; the frame itself if that is all of it."""
    if (begin, end) == (0, frame.samples):
        return frame
    return _frame_like(frame, frame.to_ndarray()[:, begin * _stride(frame) : end * _stride(frame)])


def _silence_like(frame: av.AudioFrame, samples: int) -> av.AudioFrame:
    shown = frame.to_ndarray()
    level = 128 if shown.dtype == np.uint8 else 0
    return _frame_like(frame, np.full((shown.shape[0], samples * _stride(frame)), level, shown.dtype))


def _stride(frame: av.AudioFrame) -> int:
    """Values per sample in one row of the frame's array: packed formats have all channels in one row."""
    return 1 if frame.format.is_planar else frame.layout.nb_channels


def _frame_like(frame: av.AudioFrame, values: AnyArray) -> av.AudioFrame:
    made = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(values), format=frame.format.name, layout=_layout_of(frame.layout)
    )
    made.sample_rate = frame.sample_rate
    return made

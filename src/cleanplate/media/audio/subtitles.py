"""Transfer of one subtitle track to an output: copied, or converted to the container's own kind."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, cast

import av
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet

from cleanplate.media.spans import Span

# Codecs that a container holds, and the one for converting other text.
_HELD: Mapping[str, tuple[frozenset[str], str]] = MappingProxyType(
    {
        "mov": (frozenset({"mov_text"}), "mov_text"),
        "mp4": (frozenset({"mov_text"}), "mov_text"),
        "webm": (frozenset({"webvtt"}), "webvtt"),
        "matroska": (
            frozenset(
                {"subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
            ),
            "subrip",
        ),
    }
)
_TEXT = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"})
_TICK = Fraction(1, 1000)


class SubtitleTrack:
    """Writer of one subtitle track's packets to the output, in order.

    Args:
        source: The track.
        clock_start: Seconds to subtract from its time stamps.
        span: Part to write, on the shifted clock; None for all. Subtitles across its borders are shortened.
        output: A file before its header is written.
    """

    def __init__(
        self, source: SubtitleStream, clock_start: Fraction, span: Span | None, output: OutputContainer
    ) -> None:
        self._output = output
        self._time_base = Fraction(source.time_base or _TICK)
        self._shift = round(clock_start / self._time_base)
        self._start = None if span is None else 0
        self._end: int | None = None
        if span is not None and span.end_seconds is not None:
            self._end = round(span.end_seconds / self._time_base)
        self._last: int | None = None
        codecs, spare = _HELD[output.format.name]
        self._copies = source.codec_context.codec.canonical_name in codecs
        self.stream: Any
        if self._copies:
            self.stream = output.add_stream_from_template(source)
        else:
            self.stream = output.add_stream(spare)
            source.codec_context.open(strict=False)
            # Its header is that of the styles, which only the decoder knows.
            self.stream.codec_context.subtitle_header = source.codec_context.subtitle_header
            self.stream.codec_context.time_base = _TICK
            self.stream.time_base = _TICK

    def stamp(self, packet: Any) -> Fraction | None:
        """Move a packet to the output's clock and return its time; None if it has none."""
        if packet.pts is None:
            return None
        packet.pts -= self._shift
        packet.dts = packet.pts
        return Fraction(packet.pts * self._time_base)

    def take(self, packet: Any) -> None:
        """Write a stamped packet."""
        begin = packet.pts or 0
        end = begin + (packet.duration or 0)
        if self._start is not None and begin < self._start:
            if end <= self._start:
                return
            begin = self._start
        if self._end is not None:
            if begin >= self._end:
                return
            end = min(end, self._end)
        if self._last is not None and begin < self._last:
            return  # the clock went back
        self._last = begin
        if self._copies:
            packet.pts = packet.dts = begin
            packet.duration = max(0, end - begin)
            packet.stream = self.stream
            self._output.mux(packet)
        else:
            self._rewrite(packet, begin, end)

    def _rewrite(self, packet: Any, begin: int, end: int) -> None:
        context = cast(Any, packet.stream).codec_context
        try:
            shown = context.decode2(packet)
            # Of "number, layer, style, name, margins (3), effect, text" only the text is wanted.
            lines = [rect.ass.split(b",", 8)[-1] for rect in shown or () if getattr(rect, "ass", b"")]
            if not lines:
                return
            event = SubtitleSet.create(
                text=b"0,0,Default,,0,0,0,," + rb"\\N".join(lines),
                start=0,
                end=max(1, round((end - begin) * self._time_base / _TICK)),
                pts=round(begin * self._time_base / _TICK),
            )
            made = self.stream.codec_context.encode_subtitle(event)
        except (av.FFmpegError, OSError):
            return  # a damaged line
        made.stream, made.time_base = self.stream, _TICK
        self._output.mux(made)

    def finish(self) -> None:
        """Do nothing, because no packet is waiting."""


def fits(source: SubtitleStream, output: OutputContainer) -> bool:
    """Tell whether the container holds this kind of subtitles, copied or converted to its own kind."""
    held, spare = _HELD.get(output.format.name, (frozenset(), ""))
    name = source.codec_context.codec.canonical_name
    return name in held or (name in _TEXT and bool(spare))

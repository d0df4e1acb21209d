"""Sound, subtitles and attachments of a source file, written to the output in sync with the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import av
from av.codec import CodecContext
from av.container import OutputContainer

from cleanplate.media.audio.audio_track import PREROLL_SECONDS, Track, open_track
from cleanplate.media.audio.subtitles import SubtitleTrack, fits
from cleanplate.media.containers.formats import Container
from cleanplate.media.containers.opening import open_media
from cleanplate.media.containers.packet_file import INDEXED
from cleanplate.media.contract import SourceInfo

# QuickTime has numbers for languages, and FFmpeg finds them by these names only.
_QUICKTIME_LANGUAGES = MappingProxyType(
    {
        "bod": "tib",
        "cym": "wel",
        "cze": "ces",
        "deu": "ger",
        "ell": "gre",
        "eus": "baq",
        "fas": "per",
        "fre": "fra",
        "hye": "arm",
        "isl": "ice",
        "kat": "geo",
        "mkd": "mac",
        "msa": "may",
        "mya": "bur",
        "nld": "dut",
        "rum": "ron",
        "slo": "slk",
        "sqi": "alb",
        "swe": "sve",
        "zho": "chi",
    }
)
_MOST_ATTACHED = 100 << 20

# Text that began long before the span may still be on screen.
_SEEK_MARGIN_SECONDS = PREROLL_SECONDS + 10


class Soundtrack:
    """Audio, subtitles and attached fonts of the source, converted if the container cannot hold them.

    The file is read a second time, beside the pictures, so that only a moment of it is in memory.

    Args:
        like: Source, with the sound at ``path``; ``clock_start`` is subtracted, ``sound_span`` cut out.
        output: A file of ``container`` before its header is written.
        container: The target, with the codecs that it holds and the encoder for others.
        notes: Receives a sentence on each stream that was encoded again or left out.
    """

    def __init__(
        self, like: SourceInfo, output: OutputContainer, container: Container, notes: list[str]
    ) -> None:
        self._like = like
        self._output = output
        self._notes = notes
        self._tracks: dict[int, Track | SubtitleTrack] = {}
        self._input = open_media(like.path)
        try:
            self._add_sound(container)
            self._add_subtitles()
            self._add_attachments()
            self._go_to_span()
            self._packets = self._read()
            self._next = next(self._packets, None)
        except BaseException:
            self._input.close()
            raise

    def _add_sound(self, container: Container) -> None:
        like = self._like
        for stream in self._input.streams.audio:
            codec: CodecContext | None = stream.codec_context
            if codec is None:
                self._note(
                    f"The audio of {like.path.name} is in a codec that FFmpeg does not know: it is left out."
                )
                continue
            try:
                track, note = open_track(stream, like.clock_start, like.sound_span, self._output, container)
            except (av.FFmpegError, ValueError):
                self._note(f"The audio of {like.path.name} cannot be copied: it is left out.")
                continue
            self._adopt(stream, track)
            if note:
                self._note(note)

    def _add_subtitles(self) -> None:
        like = self._like
        for stream in self._input.streams.subtitles:
            if stream.codec_context is None or not fits(stream, self._output):
                name = "unknown" if stream.codec_context is None else stream.codec_context.name
                self._note(
                    f"Subtitles of the kind {name} cannot be stored in {self._output.format.name}: they "
                    "are left out."
                )
                continue
            self._adopt(stream, SubtitleTrack(stream, like.clock_start, like.sound_span, self._output))

    def _adopt(self, source: Any, track: Track | SubtitleTrack) -> None:
        self._tracks[source.index] = track
        language = source.metadata.get("language")
        if language and self._output.format.name == "mov":
            language = _QUICKTIME_LANGUAGES.get(language, language)
        # A track's title is a name in QuickTime's words.
        title = source.metadata.get("title") or source.metadata.get("name")
        track.stream.metadata.update({k: v for k, v in (("language", language), ("title", title)) if v})
        track.stream.disposition = source.disposition.value

    def _add_attachments(self) -> None:
        """Copy the fonts of subtitles."""
        attached = [s for s in self._input.streams.attachments if s.name and s.mimetype]
        if attached and self._output.format.name != "matroska":
            self._note(f"Attached files cannot be stored in {self._output.format.name}: they are left out.")
            return
        room = _MOST_ATTACHED
        for stream in attached:
            room -= len(stream.data)
            if room >= 0:
                self._output.add_attachment(stream.name or "", stream.mimetype or "", stream.data)

    def _note(self, sentence: str) -> None:
        if sentence not in self._notes:  # tracks of one kind need one sentence
            self._notes.append(sentence)

    def _go_to_span(self) -> None:
        """Skip packets far before the span, where the file's index tells where that ends."""
        start = self._like.clock_start - _SEEK_MARGIN_SECONDS
        if self._like.sound_span is None or start <= 0 or not self._input.format.name.startswith(INDEXED):
            return
        self._input.seek(round(start * av.time_base))

    def _read(self) -> Iterator[tuple[Fraction, Any]]:
        streams = [stream for stream in self._input.streams if stream.index in self._tracks]
        if not streams:
            return
        latest = Fraction(0)
        span = self._like.sound_span
        going_on = {index for index, track in self._tracks.items() if isinstance(track, Track)}
        packets = self._input.demux(streams)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                return  # the source says where its pictures end; the sound ends here
            if packet is None:
                return
            if not packet.size:
                continue
            index = packet.stream.index
            begin = self._tracks[index].stamp(packet)
            if begin is None:
                continue
            latest = max(latest, begin)
            if span is not None and span.end_seconds is not None and begin >= span.end_seconds:
                going_on.discard(index)
                if not going_on:
                    return
            yield latest, packet

    def advance(self, until: Fraction) -> None:
        """Write the sound up to ``until`` seconds."""
        while self._next is not None and self._next[0] <= until:
            self._take(self._next[1])
            self._next = next(self._packets, None)

    def finish(self) -> None:
        """Write the rest."""
        while self._next is not None:
            self._take(self._next[1])
            self._next = next(self._packets, None)
        for track in self._tracks.values():
            track.finish()

    def close(self) -> None:
        self._input.close()

    def _take(self, packet: Any) -> None:
        self._tracks[packet.stream.index].take(packet)

"""Metadata of a file beside pictures and sound: timecode, reel, title, camera, chapters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from cleanplate.media.timecode import Timecode

# Tags that describe only the source file, or that are copied separately.
_NOT_CARRIED = {
    "compatible_brands",
    "creation_time",
    "duration",
    "encoder",
    "handler_name",
    "major_brand",
    "minor_version",
    "reel_name",
    "timecode",
    "vendor_id",
}
_APPLE = "com.apple.quicktime."
_APPLE_NAMES = {"location.iso6709": "location", "creationdate": "date"}
_CREATION_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z?")
_LONGEST_VALUE = 10_000
_MOST_CHAPTERS = 10_000
_CHAPTER_TICKS = 1_000_000


@dataclass(frozen=True)
class Chapter:
    """A named part of a clip, in seconds of its frames' clock."""

    start_seconds: Fraction
    end_seconds: Fraction
    title: str = ""


@dataclass(frozen=True)
class Tags:
    """Metadata that is copied from a source to its results.

    Attributes:
        timecode: Timecode of the first frame.
        reel_name: Tape or card of the clip, its name in an edit suite.
        metadata: Title, artist, comment, camera and the like, by their names in lower case.
        chapters: In their order.
    """

    timecode: Timecode | None = None
    reel_name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    chapters: tuple[Chapter, ...] = ()

    def cut(self, start: Fraction, end: Fraction | None, frames: int) -> Tags:
        """Tags of a part of the clip.

        Args:
            start: Its first moment, in seconds of the clip's clock; it becomes 0.
            end: Its last moment.
            frames: Number of frames by which the timecode advances.
        """
        chapters = []
        for chapter in self.chapters:
            begin = max(chapter.start_seconds - start, Fraction(0))
            stop = (chapter.end_seconds if end is None else min(chapter.end_seconds, end)) - start
            if stop > begin:
                chapters.append(Chapter(begin, stop, chapter.title))
        timecode = self.timecode and self.timecode.after(frames)
        return replace(self, timecode=timecode, chapters=tuple(chapters))


def read_tags(
    container: InputContainer,
    video: VideoStream,
    rate: Fraction | None,
    clock_start: Fraction,
    notes: list[str],
) -> Tags:
    """The tags of an open file, with chapters on the clock of its frames.

    Args:
        container: The file.
        video: Its video stream.
        rate: Rate of its frames.
        clock_start: Seconds to subtract from its times.
        notes: Receives a note on an invalid timecode.
    """
    metadata: dict[str, str] = {}
    for key, value in container.metadata.items():
        name = key.lower()
        if name.startswith(_APPLE):
            name = name.removeprefix(_APPLE)
            name = _APPLE_NAMES.get(name, name)
        if name not in _NOT_CARRIED and len(value) <= _LONGEST_VALUE:
            metadata.setdefault(name, value)
    created = container.metadata.get("creation_time", "")
    if _CREATION_TIME.fullmatch(created):
        metadata["creation_time"] = created
    # QuickTime keeps the timecode and the reel with a track of their own.
    places = (video.metadata, *(s.metadata for s in container.streams.data), container.metadata)
    found = _first_of(places, "timecode")
    timecode = Timecode.parse(found, rate) if found and rate else None
    if found and timecode is None:
        speed = f"{float(rate):.5g} fps" if rate else "an unknown frame rate"
        notes.append(f"The timecode '{found[:40]}' is invalid at {speed}: it is left out.")
    return Tags(
        timecode=timecode,
        reel_name=_first_of(places, "reel_name"),
        metadata=MappingProxyType(metadata),
        chapters=_read_chapters(container, clock_start),
    )


def _first_of(places: Iterable[Mapping[str, str]], name: str) -> str | None:
    for metadata in places:
        for key, value in metadata.items():
            if key.lower() == name:
                return value
    return None


def _read_chapters(container: InputContainer, clock_start: Fraction) -> tuple[Chapter, ...]:
    chapters = []
    for entry in container.chapters()[:_MOST_CHAPTERS]:
        tick = Fraction(entry["time_base"] or 1)
        start, end = entry["start"] * tick - clock_start, entry["end"] * tick - clock_start
        if end > start:
            title = entry["metadata"].get("title", "")
            chapters.append(Chapter(max(start, Fraction(0)), end, title[:_LONGEST_VALUE]))
    return tuple(sorted(chapters, key=lambda chapter: chapter.start_seconds))


def carry_tags(tags: Tags, output: OutputContainer, video: VideoStream) -> None:
    """Write tags into an open file, before its header is written.

    Args:
        tags: Tags of the source.
        output: The file.
        video: Its video stream; a ``.mov`` or ``.mp4`` gets a timecode track for it.
    """
    output.metadata.update(tags.metadata)
    if tags.timecode is not None:
        video.metadata["timecode"] = str(tags.timecode)
    if tags.reel_name is not None:
        video.metadata["reel_name"] = tags.reel_name
    if tags.chapters:
        output.set_chapters([_chapter_entry(number, c) for number, c in enumerate(tags.chapters, 1)])


def _chapter_entry(number: int, chapter: Chapter) -> Any:
    return {
        "id": number,
        "start": round(chapter.start_seconds * _CHAPTER_TICKS),
        "end": round(chapter.end_seconds * _CHAPTER_TICKS),
        "time_base": Fraction(1, _CHAPTER_TICKS),
        "metadata": {"title": chapter.title} if chapter.title else {},
    }

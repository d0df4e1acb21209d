"""Description of a video from its header and its first decoded frame."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av

from cleanplate.errors import InputError
from cleanplate.media.colour.camera_spaces import space_of_file, space_of_tags
from cleanplate.media.colour.h273 import LUMA_WEIGHTS, UNSPECIFIED
from cleanplate.media.colour.hdr import read_hdr
from cleanplate.media.container_tags import read_tags
from cleanplate.media.containers.movie_header import MovieHeader
from cleanplate.media.containers.playback import Playback
from cleanplate.media.contract import SourceInfo
from cleanplate.media.orientation import swaps_sides
from cleanplate.media.video import unpacking
from cleanplate.media.video.frame_converter import FrameConverter

_DURATION_TAG = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)")

_DOLBY_CODECS = ("hevc", "av1", "libdav1d", "h264")
"""Decoders of streams that may have Dolby Vision."""


def describe_video(
    path: Path, playback: Playback, converter: FrameConverter, first: av.VideoFrame, notes: list[str]
) -> SourceInfo:
    """Describe a video.

    Args:
        path: Its file, or a name for a pipe.
        playback: The open file.
        converter: Made for the first frame.
        first: The first decoded frame: only it shows the true size, rotation and colour.
        notes: Receives notes for the user on tags and frames that are not used.
    """
    height, width = first.height, first.width
    pixel_aspect = playback.stream.sample_aspect_ratio or Fraction(1)
    if swaps_sides(converter.orientation):
        height, width = width, height
        pixel_aspect = 1 / pixel_aspect
    rate = playback.frame_rate
    duration = _read_duration(playback)
    tags = read_tags(playback.container, playback.stream, rate, playback.clock_start, notes)
    info = SourceInfo(
        path=path,
        height=height,
        width=width,
        bit_depth=converter.bit_depth,
        frame_rate=rate,
        time_base=playback.time_base,
        frame_count=_estimate_count(playback.stream.frames, duration, rate),
        duration_seconds=duration,
        colour=converter.colour,
        has_audio=bool(playback.container.streams.audio),
        pixel_aspect=pixel_aspect,
        clock_start=playback.clock_start,
        has_subtitles=bool(playback.container.streams.subtitles),
        tags=tags,
        space=space_of_tags(tags.metadata) or space_of_file(path),
        full_chroma=first.format.chroma_width(16) == 16 and len(first.format.components) >= 3,
        hdr=read_hdr(first),
        has_alpha=unpacking.has_alpha(first),
    )
    if playback.skipped:
        notes.append(
            f"The first {playback.skipped} frames of {path.name} cannot be decoded, as the key "
            "frame before them is missing; they are left out."
        )
    matrix = converter.colour.matrix
    if not unpacking.is_rgb(first) and matrix not in (UNSPECIFIED, *LUMA_WEIGHTS):
        notes.append(
            f"{path.name} is tagged with the matrix {matrix}, which is not supported: colours "
            f"are read as {converter.colour.assumed(first.height, first.width).matrix}."
        )
    return info


def note_dolby_vision(path: Path, codec: str, notes: list[str]) -> None:
    """Note Dolby Vision, from the header of a file.

    Args:
        path: The file; nothing is read of a pipe.
        codec: FFmpeg's name of the decoder.
        notes: Receives the note.

    Raises:
        InputError: Only Dolby's own decoders can show the base layer's colours.
    """
    found = MovieHeader(path).dolby_vision if codec in _DOLBY_CODECS and path.is_file() else None
    if found is None:
        return
    if not found.base:
        raise InputError(
            f"{path} is Dolby Vision of profile {found.name}, whose colours only Dolby's decoders "
            "know: they would be green and purple.",
            "export it as HDR10, HLG or SDR, for example with the phone's or the editor's export",
        )
    notes.append(
        f"{path.name} is Dolby Vision (profile {found.name}): {found.base} is read, and the "
        "dynamic metadata is not in the result."
    )


def _estimate_count(stored: int, duration: Fraction | None, rate: Fraction | None) -> int | None:
    """The smaller of the numbers of stored frames and of frames in the duration: edit lists hide some."""
    counts = [stored, round(duration * rate) if duration and rate else 0]
    return min((count for count in counts if count > 0), default=None)


def _read_duration(playback: Playback) -> Fraction | None:
    """Duration in seconds by the header; None if it has none."""
    container, stream = playback.container, playback.stream
    duration = None
    # Matroska keeps each stream's own duration as text; the container's is that of the longest stream.
    tag = _DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))
    if stream.duration and stream.time_base:
        duration = stream.duration * Fraction(stream.time_base)
    elif tag is not None:
        duration = int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3])
    elif container.duration:
        duration = Fraction(container.duration, av.time_base)
    if duration is not None and container.format.name.startswith("matroska") and stream.start_time:
        duration -= stream.start_time * Fraction(stream.time_base or 0)  # it counts from 0
    return duration if duration is not None and duration > 0 else None

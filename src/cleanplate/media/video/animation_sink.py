"""Short animations for web pages: ``.webp`` and ``.apng``, encoded by FFmpeg and repeated without end."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from cleanplate.errors import OutputError
from cleanplate.frame import AnyArray, Frame
from cleanplate.media.containers.encoders import APNG, WEBP_ANIMATION, Encoder
from cleanplate.media.containers.formats import Container, choose_encoder
from cleanplate.media.contract import Encoding, SourceInfo
from cleanplate.media.numbering import is_pattern
from cleanplate.media.video.video_sink import VideoSink

ANIMATIONS: Mapping[str, Container] = MappingProxyType(
    {
        ".webp": Container("webp", (WEBP_ANIMATION,), (), "", MappingProxyType({"loop": "0"})),
        ".apng": Container("apng", (APNG,), (), "", MappingProxyType({"plays": "0"})),
    }
)

MOST_PIXELS = 1_000_000_000
"""Limit of an animated WebP, whose encoder keeps all frames in memory until the end: 480 frames of 1920x1080.
A choice: a frame of the sample clip takes 0.15 to 0.2 bytes a pixel, so some 200 MB."""

_MILLISECOND = Fraction(1, 1000)


class AnimationSink(VideoSink):
    """A :class:`~cleanplate.media.contract.Sink` for an animation without sound, written in one piece.

    See :func:`cleanplate.media.open_sink` for the arguments.

    Raises:
        OutputError: As :func:`cleanplate.media.open_sink`; or the clip is too long for WebP.
    """

    def __init__(
        self, path: Path, like: SourceInfo, *, layer: str, overwrite: bool, encoding: Encoding
    ) -> None:
        self._is_webp = path.suffix.lower() == ".webp"
        self._pixels = 0
        self._begin: int | None = None
        self._end = self._last_ticks = 0  # in units of the result's time base
        if self._is_webp:
            self._check_length((like.frame_count or 0) * like.height * like.width, path, like)
            like = replace(like, time_base=_MILLISECOND)  # its only unit; times are rounded, not durations
        super().__init__(path, like, layer=layer, overwrite=overwrite, audio=False, encoding=encoding)
        if like.has_audio:
            self.notes.append(f"{path.name} is an animation and has no sound.")

    def _choose(
        self, path: Path, layer: str, like: SourceInfo, encoding: Encoding
    ) -> tuple[Container, Encoder]:
        suffix = path.suffix.lower()
        return choose_encoder(path, layer, like, encoding, self.notes, (suffix, ANIMATIONS[suffix]))

    def write(self, pixels: AnyArray, at: Frame) -> None:
        if self._is_webp:
            self._pixels += pixels.shape[0] * pixels.shape[1]
            self._check_length(self._pixels, self.path, self._like)
        super().write(pixels, at)
        pts = self._in_time_base(at.pts, at.time_base)
        self._begin = pts if self._begin is None else self._begin
        self._last_ticks = self._in_time_base(at.duration or 0, at.time_base)
        self._end = pts + self._last_ticks

    def _check_length(self, pixels: int, path: Path, like: SourceInfo) -> None:
        if pixels > MOST_PIXELS:
            most = MOST_PIXELS // (like.height * like.width)
            raise OutputError(
                f"{path.name} is too long: an animated WebP of {like.width}x{like.height} holds at most "
                f"{most} frames here, as its encoder keeps them all in memory.",
                "write .webm or .apng, or a part with --range",
            )

    def _publish(self) -> None:
        # FFmpeg knows how long a frame lasts only from the next one.
        if self._last_ticks:
            with self.partial.open("rb+") as file:
                if self._is_webp:
                    _set_length_of_webp(file, self._end - (self._begin or 0))
                else:
                    _set_last_of_apng(file, self._last_ticks * self._like.time_base)
        super()._publish()


def is_animated(path: Path) -> bool:
    """Tell by its name whether a result is an animation; a pattern of ``.webp`` is a sequence."""
    return path.suffix.lower() in ANIMATIONS and not is_pattern(path)


def _set_length_of_webp(file: BinaryIO, milliseconds: int) -> None:
    """Give the last frame, which may stand for several equal ones, the time until the animation's end.

    An animation of equal frames is a picture without times.
    """
    places = []
    size = file.seek(0, 2)
    at = 12
    while at + 8 <= size:
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind == b"ANMF":
            places.append(at + 8 + 12)  # after the frame's place and size, three bytes for each number
        at += 8 + length + length % 2
    for place in places[:-1]:
        file.seek(place)
        milliseconds -= int.from_bytes(file.read(3), "little")
    if places:
        file.seek(places[-1])
        file.write(min(max(milliseconds, 1), (1 << 24) - 1).to_bytes(3, "little"))


def _set_last_of_apng(file: BinaryIO, seconds: Fraction) -> None:
    """Write the delay of the last frame, as a fraction of two numbers of 16 bits."""
    last = None
    for at, kind in _png_chunks(file):
        last = at if kind == b"fcTL" else last
    if last is None:
        return
    delay = seconds.limit_denominator(0xFFFF)
    if delay.numerator > 0xFFFF:
        delay = Fraction(min(math.ceil(seconds), 0xFFFF))
    file.seek(last + 4)
    chunk = bytearray(file.read(4 + 26))  # the name and the data, without length and checksum
    chunk[4 + 20 : 4 + 24] = struct.pack(">HH", delay.numerator, delay.denominator)
    file.seek(last + 4)
    file.write(chunk + struct.pack(">I", zlib.crc32(chunk)))


def _png_chunks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Addresses and names of the chunks of a PNG."""
    size = file.seek(0, 2)
    at = 8
    while at + 12 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        yield at, kind
        at += 12 + length

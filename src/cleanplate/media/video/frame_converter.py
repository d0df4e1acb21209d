"""Frames of one size, depth and type, from a stream whose pictures may change on the way."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from cleanplate.errors import InputError
from cleanplate.frame import Pixels, to_depth
from cleanplate.media.colour.h273 import Colour
from cleanplate.media.spans import clock_text
from cleanplate.media.video import unpacking
from cleanplate.media.video.event_tally import EventTally


class FrameConverter:
    """Converts frames to pixels as the first one has them, however each is stored.

    Args:
        path: The file.
        first: The first frame; later ones are brought to its size and bit depth.
        container_colour: Colour tags of the container, for those that frames lack.
        codec: FFmpeg's name of the codec.

    Attributes:
        colour: Colour of the first frame, as tagged.
        orientation: Orientation of the first frame.
        bit_depth: Bit depth of the first frame.
        changes: Changes of the stored form that were met.
    """

    def __init__(self, path: Path, first: av.VideoFrame, container_colour: Colour, codec: str) -> None:
        self.colour = unpacking.colour_of(first).filled(container_colour)
        self.orientation = unpacking.orientation(first)
        self.bit_depth = unpacking.bit_depth(first)
        self.changes = EventTally()
        self._path, self._codec = path, codec
        self._size = first.height, first.width
        self._unpacker = self._open_unpacker(first)

    def convert(self, frame: av.VideoFrame, seconds: Fraction) -> tuple[Pixels, Pixels | None]:
        """Give the pixels and the alpha, if any, of a frame that is shown at a time.

        Raises:
            InputError: FFmpeg cannot convert such pictures.
        """
        if self._kind_of(frame) != self._kind:
            before = self._kind[3]
            self._unpacker = self._open_unpacker(frame)
            what = f"{frame.width}x{frame.height} {frame.format.name}"
            for name, value in vars(self._kind[3]).items():
                if value != getattr(before, name):
                    what += f", {name} {value}"
            self.changes.add(f"{what} at {clock_text(seconds)}")
        try:
            pixels = self._unpacker.unpack(frame)
        except (av.FFmpegError, ValueError) as error:
            raise InputError(
                f"{self._path.name} has pictures of a kind that cannot be converted: "
                f"{frame.width}x{frame.height} {frame.format.name}."
            ) from error
        alpha = self._unpacker.unpack_alpha(frame)
        kind = "uint16" if self.bit_depth > 8 else "uint8"
        return to_depth(pixels, kind), None if alpha is None else to_depth(alpha, kind)

    def _open_unpacker(self, frame: av.VideoFrame) -> unpacking.Unpacker:
        """Open the unpacker for frames stored like this one."""
        self._kind = self._kind_of(frame)
        height, width = self._size
        depth = unpacking.bit_depth(frame)
        return unpacking.Unpacker(height, width, depth, self._kind[3], self.orientation, self._codec)

    def _kind_of(self, frame: av.VideoFrame) -> tuple[str, int, int, Colour]:
        """Key of an unpacker: pixel format, size, colour without gaps."""
        colour = unpacking.colour_of(frame).filled(self.colour)
        return frame.format.name, frame.height, frame.width, colour.assumed(*self._size)

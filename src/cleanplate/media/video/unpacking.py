"""Conversion of decoded frames to RGB arrays: matrix, range, depth and rotation, in one pass of swscale."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from cleanplate.frame import Pixels
from cleanplate.media.colour.bit_depth import scale
from cleanplate.media.colour.chroma_siting import Siter, lacks_siting
from cleanplate.media.colour.h273 import MATRICES, PRIMARIES, RANGES, TRANSFERS, UNSPECIFIED, Colour, code_of
from cleanplate.media.orientation import UPRIGHT, make_upright, orientation_of_matrix

# Without ACCURATE_RND, swscale's short cut from 4:2:0 repeats chroma and is one to two code values too dark.
# It is fastest with planes as output: packing three of them by OpenCV is twice as fast as its own packed RGB.
# The number is FFmpeg's SWS_ACCURATE_RND, which PyAV names from version 18 on only.
_CONVERSION = int(Interpolation.BILINEAR) | 0x40000


def bit_depth(frame: VideoFrame) -> int:
    """Bits of a stored sample."""
    return max(int(component.bits) for component in frame.format.components)


def colour_of(frame: VideoFrame) -> Colour:
    """The tags of a decoded frame."""
    return Colour.from_codes(frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc)


def has_alpha(frame: VideoFrame) -> bool:
    """Tell whether a frame has an alpha channel; a palette counts as opaque."""
    return any(component.is_alpha for component in frame.format.components)


def orientation(frame: VideoFrame) -> int:
    """The display matrix of a frame as EXIF's number; 1 if there is none."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return UPRIGHT if matrix is None else orientation_of_matrix(bytes(cast(Any, matrix)))


def is_rgb(frame: VideoFrame) -> bool:
    """Tell whether a frame needs no matrix: RGB, palettes and grey."""
    return frame.format.is_rgb or frame.format.name.startswith(("gray", "ya", "pal", "mono"))


def is_full_range(frame: VideoFrame, colour: Colour) -> bool:
    """Range: the tagged one; else full for RGB, grey and JPEG's YUV, limited for all other YUV."""
    return is_rgb(frame) or frame.format.name.startswith("yuvj") or colour.range == "full"


class Unpacker:
    """Turns decoded frames into upright RGB of one size and type.

    Args:
        height: Rows as stored.
        width: Columns as stored. A frame of another size is scaled to it.
        depth: Bits of a stored sample; up to 8 give uint8, more give uint16.
        colour: Matrix and range, without gaps.
        orientation: EXIF's number.
        decoder: FFmpeg's name of the decoder of a video, whose untagged chroma is sited left.
            Empty for other pictures, whose untagged chroma is sited in the middle.
    """

    def __init__(
        self,
        height: int,
        width: int,
        depth: int,
        colour: Colour,
        orientation: int,
        decoder: str = "",
    ) -> None:
        self._size = (height, width)
        self._depth = depth
        self._colour = colour
        self._orientation = orientation
        self._decoder = decoder
        self._siter: Siter | None = None
        self._reformatter = VideoReformatter()

    def unpack(self, frame: VideoFrame) -> Pixels:
        """uint8 or uint16 ``(height, width, 3)``, in new memory."""
        height, width = self._size
        deep = self._depth > 8
        full = is_full_range(frame, self._colour)
        frame.colorspace = code_of(MATRICES, self._colour.matrix)
        # Pixels keep their transfer and primaries: swscale would convert from some and refuse others.
        frame.color_trc = code_of(TRANSFERS, UNSPECIFIED)
        frame.color_primaries = code_of(PRIMARIES, UNSPECIFIED)
        frame = self._place_chroma(frame)
        planar = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=_planar_rgb(frame.format.name, deep=deep),
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=_CONVERSION,
            threads=1,
        )
        green, blue, red = planes(planar, np.uint16 if deep else np.uint8)[:3]
        if deep and (white := swscale_white(self._depth, full)) != 65535:
            gain = 65535 / white
            red, green, blue = (scale(plane, gain) for plane in (red, green, blue))
        return make_upright(cv2.merge([red, green, blue]), self._orientation)

    def unpack_alpha(self, frame: VideoFrame) -> Pixels | None:
        """The frame's alpha, ``(height, width)`` in the type of its pixels; None if it is opaque."""
        if not has_alpha(frame):
            return None
        dtype = np.uint16 if self._depth > 8 else np.uint8
        component = next(component for component in frame.format.components if component.is_alpha)
        if frame.format.name.startswith(("yuva", "gbrap")) and not frame.format.is_big_endian:
            # Not by swscale, whose alpha of 10 bits is off by more than a code value.
            stored = np.uint16 if component.bits > 8 else np.uint8
            plane = planes(frame, stored)[component.plane]
            values: Pixels = np.empty(plane.shape, dtype)
            scale(plane, np.iinfo(dtype).max / ((1 << component.bits) - 1), out=values)
        else:
            name = "rgba64le" if self._depth > 8 else "rgba"
            packed = self._reformatter.reformat(frame, format=name, threads=1)
            rows = np.frombuffer(cast(Any, packed.planes[0]), dtype).reshape(frame.height, -1)
            values = np.ascontiguousarray(rows[:, 3 : 4 * frame.width : 4])
        if values.shape != self._size:
            values = cv2.resize(values, self._size[::-1], interpolation=cv2.INTER_LINEAR)
        return make_upright(values, self._orientation)

    def _place_chroma(self, frame: VideoFrame) -> VideoFrame:
        if self._decoder:
            # Tags that the first frame lacks are missing in the others, too.
            self._siter = Siter() if lacks_siting(frame, self._decoder) else None
            self._decoder = ""
        return frame if self._siter is None else self._siter.tag(frame)


def _planar_rgb(stored: str, *, deep: bool) -> str:
    # swscale leaves most of the picture out when it has to drop the alpha of 16 bits.
    return stored if stored == "gbrap16le" else "gbrp16le" if deep else "gbrp"


def swscale_white(depth: int, full_range: bool) -> int:
    """The 16-bit value of white in swscale: shifted up, not stretched to 65535."""
    if depth >= 16 and full_range:
        return 65535
    return 255 << 8 if not full_range else ((1 << depth) - 1) << (16 - depth)


def planes(frame: VideoFrame, dtype: type[np.uint8] | type[np.uint16]) -> list[Pixels]:
    """The frame's planes as arrays over its own memory, ``(height, width)`` each, without padding."""
    return [
        np.frombuffer(cast(Any, plane), dtype).reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    ]


def range_code(full: bool) -> int:
    """H.273's neighbour in FFmpeg: the constant of a range."""
    return code_of(RANGES, "full" if full else "limited")

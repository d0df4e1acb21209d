"""Conversion of finished pixels to frames in an encoder's pixel format: matrix, range, depth, exact alpha."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from cleanplate.frame import AnyArray, ByteArray, to_depth
from cleanplate.media.colour.bit_depth import scale
from cleanplate.media.colour.chroma_siting import left_sited_frame
from cleanplate.media.colour.dither import dither
from cleanplate.media.colour.full_chroma import FullChroma
from cleanplate.media.colour.h273 import MATRICES, PRIMARIES, TRANSFERS, Colour, code_of
from cleanplate.media.video.unpacking import planes, range_code

# For less chroma than luma. Without SWS_FULL_CHR_H_INP, swscale averages two pixels before it places chroma,
# for every siting; without SWS_ACCURATE_RND, a grey of full range has a tint, and dithering from 16 bits to 8
# changes the mean. PyAV has names for them only from version 18 on.
_PLACED = int(Interpolation.BILINEAR) | 0x4000 | 0x40000

_GAIN = (255 << 8) / 65535
"""Factor from the white of 16 bits to swscale's white of RGB, for every target format."""

_BLOCK = 16
"""Side of the blocks in which hidden colour is cleared: ProRes' macroblock, a divisor of VP9's."""


class Packer:
    """Turns finished pixels into frames of one size and pixel format, tagged with their colour.

    RGB formats take the pixels as they are. For YUV, swscale computes colour with the given matrix and range;
    alpha and grey are scaled here, as swscale's alpha of 10 bits is off by more than a code value.
    In cut-outs, invisible colour (whole blocks of alpha 0) becomes black: it would cost an encoder
    most of its time, and would keep the background in the file.

    Args:
        pixel_format: FFmpeg's name, one of the table in :mod:`cleanplate.media.containers.formats`.
        height: Rows of the frames, at least those of the pixels: the last row is repeated.
        width: Columns likewise.
        colour: Without gaps. Its range and matrix are used for YUV formats.
        opaque: The code value of an alpha of 1, if not the highest, to which larger ones are clipped.
    """

    def __init__(
        self, pixel_format: str, height: int, width: int, colour: Colour, opaque: float | None = None
    ) -> None:
        layout = VideoFormat(pixel_format, width, height)
        self._format = pixel_format
        self._size = (height, width)
        self._colour = colour
        self._is_yuv = not layout.is_rgb and not pixel_format.startswith("gray")
        self._bits = int(layout.components[0].bits)
        self._highest = (1 << self._bits) - 1
        self._opaque = opaque or self._highest
        self._plane_type: type[np.uint8] | type[np.uint16] = np.uint16 if self._bits > 8 else np.uint8
        self._subsampled = self._is_yuv and layout.chroma_width(width) < width
        self._full_range = not self._is_yuv or colour.range == "full"
        self._full_chroma = (
            FullChroma(colour.matrix, self._bits, self._full_range)
            if self._is_yuv and not self._subsampled
            else None
        )
        self._reformatter = VideoReformatter()
        self._canvas: VideoFrame | None = None
        self._scratch: VideoFrame | None = None
        self._padded_alpha: AnyArray | None = None

    def pack(self, pixels: AnyArray) -> VideoFrame:
        """Convert uint8 or uint16 ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)`` to a new frame."""
        pixels = self._pad(np.ascontiguousarray(pixels))
        if not self._is_yuv:
            falls = pixels.ndim == 3 and pixels.dtype == np.uint16 and self._bits == 8
            frame = self._pack_rgb(dither(pixels) if falls else to_depth(pixels, self._plane_type))
        elif pixels.ndim == 2:
            frame = self._pack_grey(pixels)
        elif pixels.shape[2] == 4:
            frame = self._pack_cutout(pixels)
        else:
            frame = self._pack_colour(pixels)
        frame.colorspace = code_of(MATRICES, self._colour.matrix if self._is_yuv else "rgb")
        frame.color_range = range_code(self._full_range)
        frame.color_primaries = code_of(PRIMARIES, self._colour.primaries)
        frame.color_trc = code_of(TRANSFERS, self._colour.transfer)
        return frame

    def _pad(self, pixels: AnyArray) -> AnyArray:
        below, right = self._size[0] - pixels.shape[0], self._size[1] - pixels.shape[1]
        if below or right:
            return cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return pixels

    def _pack_rgb(self, pixels: AnyArray) -> VideoFrame:
        frame = _wrap(pixels)
        if frame.format.name == self._format:
            return _wrap(pixels.copy())
        return self._reformat(frame)

    def _pack_grey(self, pixels: AnyArray) -> VideoFrame:
        frame = VideoFrame(self._size[1], self._size[0], self._format)
        luma, *chroma = planes(frame, self._plane_type)
        black, white = (0, 255) if self._full_range else (16, 235)
        shift = self._bits - 8
        top = self._highest if self._full_range else white << shift
        self._scale(pixels, top - (black << shift), luma)
        if black:
            luma += black << shift
        for plane in chroma:
            plane[:] = 1 << (self._bits - 1)
        return frame

    def _pack_colour(self, pixels: AnyArray) -> VideoFrame:
        if not self._subsampled:
            return self._reformat(_wrap(scale(pixels, _GAIN) if pixels.dtype == np.uint16 else pixels))
        if self._canvas is None:
            name = "rgb24" if pixels.dtype == np.uint8 else "rgb48le"
            self._canvas = left_sited_frame(self._size[1], self._size[0], name)
        canvas = _view(self._canvas, pixels)
        if pixels.dtype == np.uint16:
            scale(pixels, _GAIN, out=canvas)
        else:
            canvas[:] = pixels
        return self._reformat(self._canvas)

    def _pack_cutout(self, pixels: AnyArray) -> VideoFrame:
        blocks, alpha = self._find_visible(pixels)
        if self._full_chroma is not None:
            return self._add_alpha(self._convert_visible(pixels, blocks, self._full_chroma), alpha)
        if self._scratch is None:
            # "rgb0" spares swscale the alpha, which is written below; there is no such format of 16 bits.
            name = "rgb0" if pixels.dtype == np.uint8 else "rgba64le"
            new_frame = left_sited_frame if self._subsampled else VideoFrame
            self._scratch = new_frame(self._size[1], self._size[0], name)
        scratch = _view(self._scratch, pixels)
        scratch[:] = 0
        cv2.copyTo(pixels, _enlarge_blocks(blocks)[: self._size[0], : self._size[1]], scratch)
        if pixels.dtype == np.uint16:
            scale(scratch, _GAIN, out=scratch)
        return self._add_alpha(self._reformat(self._scratch), alpha)

    def _convert_visible(self, pixels: AnyArray, blocks: ByteArray, conversion: FullChroma) -> VideoFrame:
        """Convert the rectangle around all visible blocks; the rest of the frame is black."""
        frame = VideoFrame(self._size[1], self._size[0], self._format)
        colour = planes(frame, self._plane_type)[:3]
        for plane, black in zip(colour, conversion.black, strict=True):
            plane[:] = black
        left, top, width, height = cv2.boundingRect(blocks)
        if width:
            visible = _enlarge_blocks(blocks[top : top + height, left : left + width])
            first, start = top * _BLOCK, left * _BLOCK
            box = (slice(first, first + len(visible)), slice(start, start + visible.shape[1]))
            shown = pixels[box]
            rgb = cv2.copyTo(shown, visible[: shown.shape[0], : shown.shape[1]])
            conversion.convert(cv2.cvtColor(rgb, cv2.COLOR_RGBA2RGB), [plane[box] for plane in colour])
        return frame

    def _add_alpha(self, frame: VideoFrame, alpha: AnyArray) -> VideoFrame:
        plane = planes(frame, self._plane_type)[3]
        self._scale(alpha, self._opaque, plane)
        if self._opaque > self._highest:
            cv2.threshold(plane, self._highest, 0, cv2.THRESH_TRUNC, dst=plane)
        return frame

    def _find_visible(self, pixels: AnyArray) -> tuple[ByteArray, AnyArray]:
        """The blocks with visible pixels, 1 or 0, and separate alpha ``(height, width)``."""
        height, width = self._size
        rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
        if self._padded_alpha is None:
            self._padded_alpha = np.zeros((rows * _BLOCK, columns * _BLOCK), pixels.dtype)
        padded = self._padded_alpha
        alpha = padded[:height, :width]
        cv2.extractChannel(pixels, 3, dst=alpha)
        # Whole words instead of pixels, because "any bit set" is enough: ten times faster than a maximum.
        words = padded.view(np.uint64).reshape(rows, _BLOCK, -1)
        seen = np.bitwise_or.reduce(words, axis=1).reshape(rows, columns, -1).any(axis=2).view(np.uint8)
        if self._subsampled:
            # Chroma mixes neighbours, and VP9 smooths over the borders of its blocks: keep one block more.
            seen = cv2.dilate(seen, np.ones((3, 3), np.uint8))
        return seen, alpha

    def _scale(self, values: AnyArray, top: float, out: AnyArray) -> None:
        """Write ``values`` with white at ``top``, rounded to nearest, into the plane ``out``."""
        white = 255 if values.dtype == np.uint8 else 65535
        scale(values, top / white, out=out)

    def _reformat(self, frame: VideoFrame) -> VideoFrame:
        # RGB has no matrix; swscale takes the result's matrix from here.
        frame.colorspace = code_of(MATRICES, self._colour.matrix)
        return self._reformatter.reformat(
            frame,
            format=self._format,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if self._full_range else ColorRange.MPEG,
            interpolation=_PLACED if self._subsampled else Interpolation.BILINEAR,
            threads=1,
        )


def _enlarge_blocks(blocks: ByteArray) -> ByteArray:
    """Repeat the value of each block for its pixels."""
    rows, columns = blocks.shape
    size = (columns * _BLOCK, rows * _BLOCK)
    return np.asarray(cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _view(frame: VideoFrame, like: AnyArray) -> AnyArray:
    """The packed frame's pixels, shaped like ``like``: ``(height, width, channels)`` over its own memory."""
    height, width, channels = like.shape
    rows = np.frombuffer(cast(Any, frame.planes[0]), like.dtype).reshape(height, -1)
    return rows[:, : channels * width].reshape(like.shape)


def _wrap(pixels: AnyArray) -> VideoFrame:
    """The pixels as a frame over the same memory."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    names = {1: ("gray", "gray16le"), 3: ("rgb24", "rgb48le"), 4: ("rgba", "rgba64le")}
    return VideoFrame.from_numpy_buffer(pixels, names[channels][pixels.dtype == np.uint16])

"""Siting of chroma samples between the pixels: passed to swscale, and measured from it.

In 4:2:0 and 4:2:2 a chroma sample belongs to two or four pixels. MPEG-2 and later standards put it on the
left one ("left"; halfway down in 4:2:0), HDR on the upper left one, JPEG and MPEG-1 in the middle. A wrong
siting shifts colour by half a pixel: a fringe along every coloured edge.

swscale follows a frame's own tag and assumes the middle without one. PyAV neither shows nor sets that tag;
a filter sets it, and it is measured from the result of swscale.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from av import VideoFrame
from av.filter import Graph
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

LEFT = "left"
"""Siting of untagged sources and of all results: H.273's default."""

_ACCURATE = int(Interpolation.BILINEAR) | 0x40000  # SWS_ACCURATE_RND

# Their streams have a field for it, and their decoders give left or centre if it is empty.
_TELLING_DECODERS = ("h264", "hevc", "vvc", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "h263", "vc1")


class Siter:
    """Tags frames as having their chroma at the left."""

    def __init__(self) -> None:
        self._kind: tuple[int, int, str] | None = None
        self._graph = Graph()

    def tag(self, frame: VideoFrame) -> VideoFrame:
        """The same picture in the same memory, tagged; the frame's other tags stay."""
        kind = (frame.width, frame.height, frame.format.name)
        if kind != self._kind:
            self._kind = kind
            self._graph = _tagging_graph(*kind)
        self._graph.vpush(frame)
        return self._graph.vpull()


def _tagging_graph(width: int, height: int, pixel_format: str) -> Graph:
    graph = Graph()
    size = f"video_size={width}x{height}:pix_fmt={pixel_format}:time_base=1/1:pixel_aspect=1/1"
    source = graph.add("buffer", size)
    tag = graph.add("setparams", f"chroma_location={LEFT}")
    sink = graph.add("buffersink")
    source.link_to(tag)
    tag.link_to(sink)
    graph.configure()
    return graph


def left_sited_frame(width: int, height: int, pixel_format: str) -> VideoFrame:
    """An empty frame, tagged so that swscale puts its chroma at the left."""
    return Siter().tag(VideoFrame(width, height, pixel_format))


def lacks_siting(frame: VideoFrame, decoder: str) -> bool:
    """Tell whether a decoded frame with subsampled chroma has no tag for its siting.

    Args:
        frame: Decoded, with its tags.
        decoder: FFmpeg's name of the decoder.
    """
    subsampled = frame.format.chroma_width(16) < 16
    return subsampled and not decoder.startswith(_TELLING_DECODERS) and find_siting(frame) == (0.5, 0.5)


def find_siting(frame: VideoFrame) -> tuple[float, float]:
    """Siting that swscale assumes for the chroma of a decoded frame, right of and below a luma sample.

    (0, 0.5) is left, (0, 0) top left, (0.5, 0.5) the middle, which swscale also takes if nothing is tagged.
    """
    # A small picture with the same tags; ramps for chroma then show where it is sampled.
    side, step = 32, 4
    small = _convert(frame, side, "yuv444p")
    ramp = (np.arange(side) * step).astype(np.uint8)
    for plane, values in zip(small.planes, (ramp * 0, ramp[None], ramp[:, None]), strict=True):
        np.frombuffer(cast(Any, plane), np.uint8).reshape(side, -1)[:, :side] = values
    middle = side // 4
    _, across, down = (
        int(np.frombuffer(cast(Any, plane), np.uint8).reshape(plane.height, -1)[middle, middle])
        for plane in _convert(small, side, "yuv420p").planes
    )
    return across / step - 2 * middle, down / step - 2 * middle


def _convert(frame: VideoFrame, side: int, pixel_format: str) -> VideoFrame:
    return VideoReformatter().reformat(
        frame,
        width=side,
        height=side,
        format=pixel_format,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_ACCURATE,
        threads=1,
    )

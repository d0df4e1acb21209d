"""Pictures and video, in and out: the only room that knows files.

Stills: :func:`read_image`, :func:`write_image`, :func:`list_images`. Moving pictures: :func:`open_source`
gives frames, :func:`open_sink` takes them; :func:`sink_formats` lists what can be written on this machine.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from cleanplate.errors import OptionError
from cleanplate.media.base import LAYERS, Sink, Source, SourceInfo
from cleanplate.media.colour import Colour
from cleanplate.media.formats import SinkFormat, sink_formats
from cleanplate.media.image_files import write_image
from cleanplate.media.images import Picture, list_images, read_image
from cleanplate.media.sequences import SequenceSink, SequenceSource, is_sequence
from cleanplate.media.video import VideoSource
from cleanplate.media.video_sink import VideoSink

__all__ = [
    "LAYERS",
    "Colour",
    "Picture",
    "Sink",
    "SinkFormat",
    "Source",
    "SourceInfo",
    "is_sequence",
    "list_images",
    "open_sink",
    "open_source",
    "read_image",
    "sink_formats",
    "write_image",
]


def open_source(path: str | Path, *, frame_rate: Fraction | None = None) -> Source:
    """Open a video file, or a numbered sequence such as ``name_%05d.png``.

    Args:
        path: The file, or the pattern.
        frame_rate: Of a sequence, in frames per second; 25 if None. A video has its own.

    Raises:
        InputError: It cannot be read; the sentence says why.
        OptionError: A frame rate was given for a video, or is not above 0.
    """
    path = Path(path)
    if frame_rate is not None and frame_rate <= 0:
        raise OptionError(f"Expected a frame rate above 0, got {frame_rate}.")
    if is_sequence(path):
        return SequenceSource(path, frame_rate)
    if frame_rate is not None:
        raise OptionError(f"{path} has a frame rate of its own; only sequences take one, got {frame_rate}.")
    return VideoSource(path)


def open_sink(
    path: str | Path,
    like: SourceInfo,
    *,
    layer: str = "cutout",
    overwrite: bool = False,
    codec: str | None = None,
    quality: int | None = None,
    audio: bool = True,
    real_time: bool = False,
    premultiplied: bool = False,
) -> Sink:
    """Open a video file or a numbered sequence for writing; the suffix chooses the format.

    ``.mov`` is ProRes, ``.webm`` VP9, ``.mkv`` FFV1 (lossless), ``.mp4`` H.264; ``name_%05d`` with ``.png``,
    ``.tif``, ``.webp`` or ``.jpg`` a sequence. Colour tags, times and sound are the source's. A video grows
    under ``name.partial.ext`` and is renamed by ``close``.

    Args:
        path: The file, or the pattern.
        like: What the source told of itself; ``like.path`` is read again for its sound.
        layer: One of :data:`LAYERS`.
        overwrite: Replace what is there already.
        codec: One of the suffix's encoders by FFmpeg's name; the first that is installed if None.
        quality: 1 to 100 for codecs that have a choice; a quality that looks lossless if None.
        audio: Whether to carry the sound over.
        real_time: Whether frames come from a camera: a video is then encoded in less time, into more bytes.
        premultiplied: Whether the colour of cut-outs comes multiplied by alpha; tagged where the format has a
            tag, which is TIFF.

    Raises:
        OutputError: It exists, no such folder, a read-only one, a full disk, an unknown suffix, an encoder
            that is missing, or a cut-out for a format without alpha.
        OptionError: Unknown layer, or a quality out of range or for a codec that has none.
    """
    path = Path(path)
    if layer not in LAYERS:
        raise OptionError(f"Expected a layer out of {', '.join(LAYERS)}, got '{layer}'.")
    if is_sequence(path):
        if codec is not None:
            raise OptionError(f"A sequence is encoded as its suffix says and takes no codec, got '{codec}'.")
        return SequenceSink(
            path, like, layer=layer, overwrite=overwrite, quality=quality, premultiplied=premultiplied
        )
    return VideoSink(
        path,
        like,
        layer=layer,
        overwrite=overwrite,
        codec=codec,
        quality=quality,
        audio=audio,
        real_time=real_time,
    )

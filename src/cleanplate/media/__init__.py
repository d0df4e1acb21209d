"""Sources and sinks: pictures and video, read from files and cameras and written to them.

Stills: :func:`read_image`, :func:`write_image`, :func:`list_images`. Moving pictures: :func:`open_source`
gives frames, :func:`open_sink` takes them; :func:`sink_formats` lists the formats that this machine writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cleanplate.errors import OptionError
from cleanplate.media.colour.h273 import Colour
from cleanplate.media.containers.formats import SinkFormat, sink_formats
from cleanplate.media.contract import Encoding, Reading, Sink, Source, SourceInfo
from cleanplate.media.numbering import is_pattern, is_sequence
from cleanplate.media.spans import Span
from cleanplate.media.stills.animations import AnimationSource, is_animation
from cleanplate.media.stills.decoded_picture import Picture
from cleanplate.media.stills.image_reader import read_image
from cleanplate.media.stills.image_writer import write_image
from cleanplate.media.stills.picture_folders import list_images
from cleanplate.media.stills.sequences import SequenceSink, SequenceSource
from cleanplate.media.video.animation_sink import AnimationSink, is_animated
from cleanplate.media.video.pipe_sink import PipeSink
from cleanplate.media.video.pipe_source import PipeSource
from cleanplate.media.video.segments import Segment, SegmentedSink, make_work_folder
from cleanplate.media.video.video_sink import VideoSink
from cleanplate.media.video.video_source import VideoSource
from cleanplate.system.pipes import is_pipe
from cleanplate.vocabulary import LAYERS

__all__ = [
    "AS_IT_IS",
    "AS_USUAL",
    "LAYERS",
    "Colour",
    "Encoding",
    "Picture",
    "Reading",
    "Sink",
    "SinkFormat",
    "Source",
    "SourceInfo",
    "Span",
    "is_sequence",
    "list_images",
    "open_sink",
    "open_source",
    "read_image",
    "sink_formats",
    "write_image",
]


AS_IT_IS = Reading()
AS_USUAL = Encoding()


def open_source(path: str | Path, reading: Reading = AS_IT_IS) -> Source:
    """Open a video file, or a numbered sequence such as ``name_%05d.png``, or a pipe.

    Args:
        path: The file, or the pattern; ``-`` for standard input, or a named pipe, whose format is recognised
            by its first bytes: NUT, Y4M, Matroska and others that need no seeking.
        reading: Options of reading: span, hardware, damage.

    Raises:
        InputError: The file cannot be read, or the span has no frame; the message gives the reason.
        OptionError: A frame rate was given for a video.
        UnavailableError: The hardware decoder is missing.
    """
    path = Path(path)
    if is_sequence(path):
        return SequenceSource(path, reading)
    if reading.frame_rate is not None:
        raise OptionError(
            f"{path} has a frame rate of its own; only sequences take one, got {reading.frame_rate}."
        )
    if is_pipe(path):
        return PipeSource(path, reading)
    return AnimationSource(path, reading) if is_animation(path) else VideoSource(path, reading)


def open_sink(
    path: str | Path,
    like: SourceInfo,
    *,
    layer: str = "cutout",
    overwrite: bool = False,
    audio: bool = True,
    encoding: Encoding = AS_USUAL,
    segments: Sequence[Segment] | None = None,
    span: Path | None = None,
) -> Sink:
    """Open a video file or a numbered sequence for writing; the suffix chooses the format.

    ``.mov`` is ProRes, ``.webm`` VP9, ``.mkv`` FFV1 (lossless), ``.mp4`` H.264 (HEVC for more than 8 bits),
    if ``encoding`` names no other codec; ``name_%05d`` with the suffix of a picture format is a sequence;
    ``.webp`` and ``.apng`` without a number are animations, written in one piece and without sound.
    Colour tags, times and sound are the source's. A video grows under ``name.partial.ext`` and is renamed by
    ``close``.

    Args:
        path: The file, or the pattern; ``-`` for standard output, or a named pipe: both get a stream of
            ``encoding.pipe_format``, without a temporary file and without segments.
        like: Description of the source; ``like.path`` is read again for its sound.
        layer: One of :data:`LAYERS`.
        overwrite: Replace an existing file.
        audio: Whether to copy the sound.
        encoding: Codec, quality and the like.
        segments: Write a video in segments, with its sound, so that it can be resumed after a kill; these
            segments are finished. None: as one file. For a sequence, the unfinished picture is then written
            in the work folder.
        span: Folder of a run that writes a span of the result: the segments of a video are not joined, and
            unfinished pictures are in this folder. None: the run writes all of it.

    Raises:
        OutputError: The file exists, the folder is missing or read-only, the disk is full, the suffix is
            unknown, the encoder is missing, or the format has no alpha for a cut-out.
        OptionError: An unknown layer, a quality out of range, or a quality for a codec without one.
        UnavailableError: The hardware encoder is missing.
    """
    path = Path(path)
    if layer not in LAYERS:
        raise OptionError(f"Expected a layer from {', '.join(LAYERS)}, got '{layer}'.")
    if is_pipe(path):
        return PipeSink(path, like, layer=layer, audio=audio, encoding=encoding)
    if is_pattern(path):
        if encoding.crf is not None:
            raise OptionError(f"A sequence has no rate factor, got {encoding.crf:g}.", "give a quality")
        make_scratch = None if segments is None else partial(make_work_folder, path)
        if span is not None:
            make_scratch = partial(Path, span)
        return SequenceSink(
            path, like, layer=layer, overwrite=overwrite, encoding=encoding, make_scratch=make_scratch
        )
    if is_animated(path):
        return AnimationSink(path, like, layer=layer, overwrite=overwrite, encoding=encoding)
    if segments is not None:
        return SegmentedSink(
            path,
            like,
            layer=layer,
            overwrite=overwrite,
            encoding=encoding,
            finished=segments,
            joins=span is None,
        )
    return VideoSink(path, like, layer=layer, overwrite=overwrite, audio=audio, encoding=encoding)

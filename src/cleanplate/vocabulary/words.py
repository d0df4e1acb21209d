"""Words that options take, each list written once."""

from __future__ import annotations

from collections.abc import Collection

from cleanplate.errors import OptionError

LAYERS = ("cutout", "alpha", "foreground", "composite", "shadow", "error", "refine")
"""Layers of a result: straight RGBA, grey alpha, straight RGB, finished RGB, grey shadow, expected error, and
mask of the refined pixels."""

SHADOWS = ("remove", "keep", "separate")
"""Treatment of the subject's shadow: removed, added to alpha as black, or written as a separate layer."""

ALPHAS = ("straight", "premultiplied")
"""Colour of a cut-out: independent of alpha, or multiplied by it."""

SOURCE_ALPHAS = ("use", "ignore")
"""Treatment of a source's own alpha channel: multiplied into the matte, or ignored."""

RUNTIMES = ("onnx", "torch", "torchscript", "tensorflow", "openvino")
"""Libraries that run a network."""

PRECISIONS = ("float32", "float16", "bfloat16")
"""Number formats in which PyTorch computes."""

DAMAGE = ("hold", "drop", "stop")
"""Treatment of a damaged frame: repeat the frame before it, leave it out, or stop."""

DEINTERLACE = ("auto", "off")
"""Deinterlacing: of the frames that are marked as interlaced, or of none."""

HARDWARE = ("off", "auto", "cuda", "vaapi", "qsv", "videotoolbox", "d3d11va")
"""Decoders and encoders: the processor, any hardware that works, or one kind of hardware."""

ODD_SIZES = ("pad", "scale")
"""Treatment of odd heights and widths in a format of even sizes: repeat the edge, or scale to one less."""

PIPE_FORMATS = ("nut", "y4m", "mkv")
"""Formats of a video on a pipe, the default first: NUT has plain pixels with alpha and times of frames, Y4M
plain pixels of a constant rate without alpha, Matroska any of its codecs."""

INPUT_COLOURS = (
    *("auto", "srgb"),
    *("slog3", "logc3", "logc4", "vlog", "canonlog2", "canonlog3", "log3g10", "acescct", "acescg"),
)
"""Colour spaces of sources: by the file's metadata; pictures that are shown as they are; log curves of
cameras and spaces of ACES. Any other name is one of OpenColorIO's configuration."""

EXR_CHANNELS = ("matte", "error", "refine")
"""Channels that EXR can hold beside the colour."""


def check_word(name: str, value: str, words: Collection[str]) -> None:
    """Raise :class:`OptionError` unless ``value`` is one of ``words``."""
    if value not in words:
        raise OptionError(f"Expected {name} as one of {', '.join(words)}, got '{value}'.")

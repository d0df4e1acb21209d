"""Words and options: each list of words and each option of a job written once, without a heavy import."""

from cleanplate.vocabulary.flags import Flag, flags_of, option
from cleanplate.vocabulary.media_options import Encoding, Reading
from cleanplate.vocabulary.options import DEFAULT_MODEL, FinishOptions, KeyerOptions
from cleanplate.vocabulary.words import (
    ALPHAS,
    DAMAGE,
    EXR_CHANNELS,
    HARDWARE,
    LAYERS,
    ODD_SIZES,
    PIPE_FORMATS,
    PLATE_MOTIONS,
    PRECISIONS,
    PROPS_MODES,
    RUNTIMES,
    SHADOWS,
    SOURCE_ALPHAS,
    check_word,
)

__all__ = [
    "ALPHAS",
    "DAMAGE",
    "DEFAULT_MODEL",
    "EXR_CHANNELS",
    "HARDWARE",
    "LAYERS",
    "ODD_SIZES",
    "PIPE_FORMATS",
    "PLATE_MOTIONS",
    "PRECISIONS",
    "PROPS_MODES",
    "RUNTIMES",
    "SHADOWS",
    "SOURCE_ALPHAS",
    "Encoding",
    "FinishOptions",
    "Flag",
    "KeyerOptions",
    "Reading",
    "check_word",
    "flags_of",
    "option",
]

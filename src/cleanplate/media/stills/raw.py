"""Development of camera RAW files through LibRaw: the extra ``raw``.

A photo and its plate are compared, so both are developed by the same fixed recipe: the photo's white
balance, no exposure that depends on the picture, sRGB with 16 bits. LibRaw's usual white level depends on
the brightest sample (``adjust_maximum_thr``); here it is the camera's.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.errors import InputError, MissingExtraError
from cleanplate.frame import Pixels
from cleanplate.media.stills.picture_kinds import check_budget

WhiteBalance = tuple[float, float, float, float]
"""Factors of red, green, blue and the second green before demosaicing."""

SRGB_GAMMA = (2.4, 12.92)
"""Power and slope of sRGB's curve (IEC 61966-2-1) in LibRaw's terms."""

DEVELOPING_BYTES = 16
"""Bytes a pixel for development, with the result. Measured on a made DNG of 24 million pixels."""


@dataclass(frozen=True)
class DevelopedRaw:
    """A developed file: upright uint16 sRGB ``(height, width, 3)``, and its white balance."""

    pixels: Pixels
    white_balance: WhiteBalance


def read_raw(
    path: Path, piped: bytes | None, budget_bytes: int | None, white_balance: WhiteBalance | None
) -> DevelopedRaw:
    """Develop a RAW file.

    Args:
        path: The file, or its name in messages.
        piped: The file's bytes if it came from a pipe.
        budget_bytes: As for :func:`cleanplate.media.read_image`.
        white_balance: Another photo's; None: the one of the shot, or daylight if the camera stored none.

    Raises:
        InputError: It is damaged, over the budget, or of an unknown camera.
        MissingExtraError: The extra ``raw`` is not installed.
    """
    try:
        import rawpy
    except ImportError as error:
        raise MissingExtraError("raw", "Reading camera RAW") from error
    library: Any = rawpy
    try:
        with library.imread(str(path) if piped is None else io.BytesIO(piped)) as raw:
            check_budget(path, raw.sizes.width, raw.sizes.height, DEVELOPING_BYTES, budget_bytes, bits=16)
            used = white_balance or _white_balance_of(raw)
            pixels = raw.postprocess(
                user_wb=list(used),
                no_auto_bright=True,
                adjust_maximum_thr=0.0,
                output_bps=16,
                output_color=library.ColorSpace.sRGB,
                gamma=SRGB_GAMMA,
            )
    except library.LibRawError as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise InputError(
            f"{path} cannot be developed: {reason.lower() or 'LibRaw gives no reason'}.",
            "develop it to a TIFF or PNG of 16 bits with the camera's own program",
        ) from None
    return DevelopedRaw(np.ascontiguousarray(pixels), used)


def _white_balance_of(raw: Any) -> WhiteBalance:
    """The white balance of the shot, else daylight, green scaled to 1."""
    for factors in (raw.camera_whitebalance, raw.daylight_whitebalance):
        red, green, blue, other = (float(factor) for factor in factors)
        if min(red, green, blue) > 0:
            return red / green, 1.0, blue / green, other / green if other > 0 else 1.0
    return 1.0, 1.0, 1.0, 1.0

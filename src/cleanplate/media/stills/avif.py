"""Writing of AVIF by OpenCV, whose libavif is lossless at quality 100: RGB without conversion to YUV."""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.errors import OutputError
from cleanplate.frame import AnyArray
from cleanplate.media.colour.bit_depth import scale
from cleanplate.media.stills.quiet_opencv import silenced

LOSSLESS = 100

MOST_BITS = 12
"""Of AV1; pixels of 16 bits are rounded to it."""

_SPEED = 8
"""Of 0 to 10. A lossless cut-out of 1920x1080 takes 0.33 s of a core and 0.68 MB; with 6 it takes 0.82 s and
0.65 MB, with 9 0.18 s and 0.73 MB."""


def check_avif() -> None:
    """Raise :class:`OutputError` if this build of OpenCV writes no AVIF."""
    if not writes_avif():
        raise OutputError(
            f"OpenCV {cv2.__version__} has no encoder for AVIF here.",
            "install opencv-python-headless 4.12 or later, or use .webp or .png",
        )


def writes_avif() -> bool:
    """Tell whether OpenCV has the encoder, and can add a profile."""
    return hasattr(cv2, "imencodeWithMetadata") and bool(cv2.haveImageWriter("cutout.avif"))


def encode_avif(
    pixels: AnyArray, icc_profile: bytes | None, quality: int | None, bit_depth: int | None
) -> bytes:
    """Encode a picture as AVIF of 8, 10 or 12 bits.

    Args:
        pixels: uint8 or uint16: grey ``(height, width)``, RGB ``(height, width, 3)`` or RGBA, straight.
        icc_profile: Embedded unchanged; None for none.
        quality: 1 to 100, of colour and alpha alike; None: lossless, as 100 is.
        bit_depth: Bit depth of the source: 10 bits are kept as 10; all others above 8 become 12.

    Raises:
        OutputError: The encoder refuses the size.
    """
    bits = 8
    if pixels.dtype == np.uint16:
        bits = 10 if bit_depth == 10 else MOST_BITS
        pixels = scale(pixels, ((1 << bits) - 1) / 65535)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    options = [
        *(cv2.IMWRITE_AVIF_QUALITY, LOSSLESS if quality is None else quality),
        *(cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_SPEED, _SPEED),
    ]
    kinds, metadata = [], []
    if icc_profile is not None:
        kinds, metadata = [cv2.IMAGE_METADATA_ICCP], [np.frombuffer(icc_profile, np.uint8)]
    with silenced():
        try:
            done, encoded = cv2.imencodeWithMetadata(".avif", pixels, kinds, metadata, options)
        except cv2.error:
            done = False
    if not done:
        height, width = pixels.shape[:2]
        raise OutputError(f"AVIF cannot hold a picture of {width}x{height}.", "use .png")
    return encoded.tobytes()

"""Reading of HEIC and other HEIF stills through libheif: the extra ``heif``.

libheif applies rotation, mirroring and cropping of the container itself; EXIF's orientation, which repeats
them, is not applied again.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from cleanplate.errors import MissingExtraError
from cleanplate.frame import AnyArray, Pixels
from cleanplate.media.colour.bit_depth import scale

_CONTAINER_BITS = 16
"""libheif moves samples of 10 and 12 bits to the upper end of 16."""


def open_heif(source: Path | io.BytesIO) -> Image.Image:
    """Open the primary picture; its pixels, as Pillow gives them, have 8 bits.

    Raises:
        MissingExtraError: The extra ``heif`` is not installed.
    """
    library = _library()
    return cast(Image.Image, library.HeifImageFile(source if isinstance(source, io.BytesIO) else str(source)))


def bits_of_heif(image: Image.Image) -> int:
    """Bits of a stored sample: 8, 10 or 12."""
    return int(image.info.get("bit_depth", 8))


def decode_deep_heif(data: bytes, bits: int) -> tuple[Pixels, AnyArray | None]:
    """Decode the primary picture of a file with more than 8 bits.

    Args:
        data: The file.
        bits: Bits of a stored sample.

    Returns:
        uint16 RGB ``(height, width, 3)`` over the full range, and alpha ``(height, width)``, or None.
    """
    decoded = np.asarray(_library().open_heif(io.BytesIO(data), convert_hdr_to_8bit=False))
    decoded = scale(decoded >> (_CONTAINER_BITS - bits), 65535 / ((1 << bits) - 1))
    if decoded.ndim == 2:
        return np.repeat(decoded[..., None], 3, axis=2), None
    return decoded[..., :3], decoded[..., 3] if decoded.shape[2] == 4 else None


def _library() -> Any:
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingExtraError("heif", "Reading HEIC") from error
    return pillow_heif

"""Pictures that Pillow opens; more than 8 bits, which it would cut off, are decoded by OpenCV and libheif."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from cleanplate.errors import CleanplateError, InputError
from cleanplate.frame import AnyArray, Pixels
from cleanplate.media.colour.bit_depth import scale
from cleanplate.media.orientation import UPRIGHT
from cleanplate.media.stills.decoded_picture import Picture, upright
from cleanplate.media.stills.heif import bits_of_heif, decode_deep_heif, open_heif
from cleanplate.media.stills.picture_kinds import FORMATS, check_budget, is_heif
from cleanplate.media.stills.picture_tags import PictureTags
from cleanplate.media.stills.quiet_opencv import decode_unchanged

# Of these, Pillow drops bits beyond the eighth.
_DEEP_FORMATS = ("PNG", "JPEG2000", "AVIF", "HEIF")

_HEADER_LOCK = threading.Lock()


def read_by_pillow(path: Path, piped: bytes | None, budget_bytes: int | None) -> Picture:
    """Read a picture of a file, or of the bytes of a pipe, then ``path`` is its name in messages."""
    with explaining_damage(path), open_header(path if piped is None else io.BytesIO(piped)) as image:
        data = b""
        if image.format in _DEEP_FORMATS:
            data = path.read_bytes() if piped is None else piped
        bits = _bits_of(image, data)
        check_budget(
            path,
            image.width,
            image.height,
            (3 + image.has_transparency_data) * (2 if bits > 8 else 1),
            budget_bytes,
            bits=bits,
        )
        image.load()  # of deep ones, too: damage is found here, in words
        orientation = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
        profile = image.info.get("icc_profile")
        if bits > 8:
            heif = image.format == "HEIF"
            pixels, alpha = decode_deep_heif(data, bits) if heif else _decode_deep(data, bits, path)
        else:
            pixels, alpha, profile = decode_8_bits(image, path, profile)
        # Sequences of AVIF keep their depth; a still of more than 8 bits counts as one of 16.
        tags = PictureTags(bit_depth=bits if bits > 8 and image.format == "AVIF" else None)
    return upright(pixels, alpha, orientation, profile, tags)


def open_header(source: Path | io.BytesIO) -> Image.Image:
    """Read the header. The caller's budget in bytes replaces Pillow's own limit of pixels."""
    if is_heif(read_beginning(source)):
        return open_heif(source)
    with _HEADER_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(source, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def read_beginning(source: Path | io.BytesIO) -> bytes:
    """Read the first bytes, by which formats are recognised."""
    if isinstance(source, io.BytesIO):
        return bytes(source.getbuffer()[:64])
    with source.open("rb") as file:
        return file.read(64)


@contextmanager
def explaining_damage(path: Path) -> Iterator[None]:
    """Turn the errors of decoders into an InputError with the file's name."""
    try:
        yield
    except CleanplateError:
        raise
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is not a picture that cleanplate can read.",
            "JPEG, PNG, WebP, TIFF, HEIC, AVIF and JPEG 2000 are",
        ) from None
    except PermissionError:
        raise InputError(f"{path} cannot be read: permission denied.") from None
    except MemoryError:
        raise InputError(f"{path} does not fit into memory.", "make it smaller") from None
    except Exception as error:
        # Decoders raise many exceptions on damaged files: OSError, SyntaxError, struct.error, IndexError ...
        raise InputError(f"{path} is damaged or cut short: {str(error).rstrip('.')}.") from error


def _bits_of(image: Image.Image, data: bytes) -> int:
    """Bits of a stored sample if Pillow would drop some of them; 8 for all others."""
    if image.format == "PNG":
        tiles = cast(Any, image).tile
        return 16 if tiles and str(tiles[0][-1]).endswith(";16B") else 8
    if image.format == "JPEG2000":
        at = data.find(b"\xff\x4f\xff\x51")  # start of codestream; 42 bytes on: depth of the first component
        return (data[at + 42] & 0x7F) + 1 if 0 <= at < len(data) - 42 else 8
    if image.format == "HEIF":
        return bits_of_heif(image)
    if image.format == "AVIF":
        at = data.find(b"av1C")
        deep = data[at + 6] if 0 <= at < len(data) - 6 else 0
        return 8 if not deep & 0x40 else 12 if deep & 0x20 else 10
    return 8


def decode_8_bits(
    image: Image.Image, path: Path, profile: bytes | None
) -> tuple[Pixels, AnyArray | None, bytes | None]:
    """Pixels, alpha and profile of a loaded picture of 8 bits; inks become sRGB."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise InputError(
            f"{path} has samples that are neither 8 nor 16 bits (Pillow's mode {image.mode}).",
            "save it with 8 or 16 bits a sample",
        )
    if image.mode == "CMYK":
        return np.asarray(cmyk_to_rgb(image, profile)), None, None
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return rgba[..., :3], rgba[..., 3], profile
    return np.asarray(image.convert("RGB")), None, profile


def _decode_deep(data: bytes, bits: int, path: Path) -> tuple[Pixels, AnyArray | None]:
    """More than 8 bits of PNG, JPEG 2000 and AVIF, over the full range of uint16.

    Pillow has no mode for such colour and would drop the lower bits: OpenCV decodes.
    """
    decoded = decode_unchanged(data)
    if decoded is None or decoded.dtype != np.uint16:
        raise InputError(
            f"{path} is stored in a layout of {bits} bits that cannot be read.", "save it as plain RGB"
        )
    if bits < 16:
        decoded = scale(decoded, 65535 / ((1 << bits) - 1))
    if decoded.ndim == 2:
        return cv2.cvtColor(decoded, cv2.COLOR_GRAY2RGB), None
    if decoded.shape[2] == 3:
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), None
    rgba = cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA)
    return rgba[..., :3], rgba[..., 3]


def cmyk_to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert CMYK to sRGB by the inks' own profile; without it, printed colours become garish."""
    if profile:
        try:
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB")

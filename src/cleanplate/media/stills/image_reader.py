"""Reading of still pictures, as upright RGB of the file's own depth, with separate alpha."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from cleanplate.errors import CleanplateError, InputError
from cleanplate.frame import AnyArray, Frame, Light, Pixels, StoredLight, to_depth
from cleanplate.media.colour.bit_depth import scale
from cleanplate.media.colour.h273 import Colour
from cleanplate.media.colour.transfer import SRGB, encode
from cleanplate.media.files import check_readable
from cleanplate.media.orientation import UPRIGHT, make_upright
from cleanplate.media.stills import tiff
from cleanplate.media.stills.dpx import read_dpx
from cleanplate.media.stills.exr import LARGEST_HALF, read_exr
from cleanplate.media.stills.heif import bits_of_heif, decode_deep_heif, open_heif
from cleanplate.media.stills.picture_kinds import (
    FORMATS,
    check_budget,
    is_heif,
    is_raw,
    is_raw_tiff,
    refuse_thumbnail,
)
from cleanplate.media.stills.picture_tags import NO_TAGS, PictureTags
from cleanplate.media.stills.quiet_opencv import decode_unchanged
from cleanplate.media.stills.raw import WhiteBalance, read_raw
from cleanplate.media.stills.studio_formats import is_studio_format, read_studio
from cleanplate.system.pipes import is_pipe, name_input, read_all

_EXR = b"\x76\x2f\x31\x01"
_DPX = (b"SDPX", b"XPDS")

# Of these, Pillow drops bits beyond the eighth.
_DEEP_FORMATS = ("PNG", "JPEG2000", "AVIF", "HEIF")


@dataclass(frozen=True)
class Picture:
    """A decoded still.

    Attributes:
        pixels: uint8 or uint16 RGB, ``(height, width, 3)``, upright.
        alpha: ``(height, width)`` of the same type, straight; None if the file has none.
        icc_profile: The file's RGB profile; None without one, or for a profile of inks or greys, which does
            not describe RGB.
        light: Linear light of a file of floats; ``pixels`` are its sRGB code values, clipped. None for all
            others.
        tags: Other metadata of the file.
        white_balance: With which a camera RAW was developed; None for all others.
    """

    pixels: Pixels
    alpha: AnyArray | None
    icc_profile: bytes | None
    light: StoredLight | None = None
    tags: PictureTags = field(default_factory=PictureTags)
    white_balance: WhiteBalance | None = None

    def to_frame(self, **fields: Any) -> Frame:
        """Make a frame of the picture; ``fields`` are the frame's time, index and alpha."""
        return Frame(
            self.pixels,
            light=self.light,
            icc_profile=self.icc_profile,
            white_balance=self.white_balance,
            space=self.tags.space,
            pixel_aspect=self.tags.pixel_aspect,
            **fields,
        )


def read_image(
    path: str | Path, *, budget_bytes: int | None = None, white_balance: WhiteBalance | None = None
) -> Picture:
    """Read a picture: JPEG, PNG, WebP, TIFF, HEIC, RAW, others of Pillow, EXR, DPX; an animation's first.

    Grey, palette and CMYK become RGB (CMYK through its profile, to sRGB), EXIF's orientation is applied, and
    16 bits stay 16 bits. The numbers of EXR, and of TIFF with floats, are linear light: the pixels are their
    sRGB code values of 16 bits, and the numbers themselves are the picture's ``light``.

    Args:
        path: The file; ``-`` for standard input, or a named pipe, read into memory at once.
        budget_bytes: Largest memory for the decoded pixels; a larger picture is refused before decoding.
            If None, a picture is refused if keying it needs more memory than is free.
        white_balance: For camera RAW, that of another photo; None: its own.

    Raises:
        InputError: No such file, a folder, not a picture, damaged, or over the budget.
        MissingExtraError: The format is EXR, HEIC, RAW or JPEG XL, and its library is not installed.
    """
    path = Path(path)
    check_readable(path, "a picture")
    data = read_all(path) if is_pipe(path) else None
    named = name_input(path)
    with _explaining_damage(named):
        beginning = _read_beginning(path) if data is None else data[:64]
    magic = beginning[:4]
    if data is not None and (magic == _EXR or magic in _DPX or is_studio_format(beginning)):
        raise InputError(f"{named} is of a format that cannot be read from a pipe.", "give the file")
    if is_studio_format(beginning):
        studio = read_studio(path, beginning, budget_bytes)
        return Picture(studio.pixels, studio.alpha, studio.icc_profile, tags=studio.tags)
    if magic == _EXR:
        decoded = read_exr(path, budget_bytes)
        return Picture(decoded.pixels, decoded.alpha, None, decoded.light, decoded.tags)
    if magic in _DPX:
        return _read_dpx(path, budget_bytes)
    if is_raw(beginning):
        return _develop(named, data, budget_bytes, white_balance)
    if magic in tiff.MAGIC:
        return _read_tiff(named, data, budget_bytes, white_balance)
    return _read_by_pillow(named, data, budget_bytes)


def _read_beginning(source: Path | io.BytesIO) -> bytes:
    if isinstance(source, io.BytesIO):
        return bytes(source.getbuffer()[:64])
    with source.open("rb") as file:
        return file.read(64)


def _read_by_pillow(path: Path, piped: bytes | None, budget_bytes: int | None) -> Picture:
    """Read a picture of a file, or of the bytes of a pipe, then ``path`` is its name in messages."""
    with _explaining_damage(path), _open(path if piped is None else io.BytesIO(piped)) as image:
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
            pixels, alpha, profile = _decode_8_bits(image, path, profile)
        # Sequences of AVIF keep their depth; a still of more than 8 bits counts as one of 16.
        tags = PictureTags(bit_depth=bits if bits > 8 and image.format == "AVIF" else None)
    return _upright(pixels, alpha, orientation, profile, tags)


def _upright(
    pixels: Pixels,
    alpha: AnyArray | None,
    orientation: int,
    profile: bytes | None,
    tags: PictureTags = NO_TAGS,
) -> Picture:
    return Picture(
        np.require(make_upright(pixels, orientation), requirements=["C", "W"]),
        None if alpha is None else np.require(make_upright(alpha, orientation), requirements=["C", "W"]),
        profile if profile and profile[16:20] == b"RGB " else None,
        tags=tags,
    )


def read_mode(path: Path) -> str:
    """Pillow's mode of a picture, from its header: ``"L"`` is grey, ``"RGBA"`` has alpha."""
    with _explaining_damage(path), _open(path) as image:
        return str(image.mode)


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture as stored, from its header.

    Raises:
        InputError: Pillow cannot read it: it is damaged, or EXR or DPX.
    """
    with _explaining_damage(path), _open(path) as image:
        return image.height, image.width


def _read_dpx(path: Path, budget_bytes: int | None) -> Picture:
    samples, tags = read_dpx(path, budget_bytes)
    if samples.shape[2] == 1:
        return Picture(np.repeat(samples, 3, axis=2), None, None, tags=tags)
    alpha = np.ascontiguousarray(samples[..., 3]) if samples.shape[2] == 4 else None
    return Picture(np.ascontiguousarray(samples[..., :3]), alpha, None, tags=tags)


def _develop(
    path: Path, piped: bytes | None, budget_bytes: int | None, white_balance: WhiteBalance | None
) -> Picture:
    developed = read_raw(path, piped, budget_bytes, white_balance)
    return Picture(developed.pixels, None, None, white_balance=developed.white_balance)


def _read_tiff(
    path: Path, piped: bytes | None, budget_bytes: int | None, white_balance: WhiteBalance | None
) -> Picture:
    """Read a TIFF of any depth: samples as stored, then photometric interpretation, alpha, orientation."""
    with _explaining_damage(path):
        data = path.read_bytes() if piped is None else piped
    directory = tiff.read_directory(data)
    if directory is None:
        raise InputError(f"{path} is damaged or cut short: it has no list of tags.")
    if is_raw_tiff(path, directory):
        return _develop(path, piped, budget_bytes, white_balance)
    refuse_thumbnail(path, directory)
    height, width = directory.size
    floats = directory.sample_format == tiff.FLOATS
    colours = 3 + (directory.alpha is not None)
    # Of floats: the samples, the light and the codes at the same time.
    size = 4 * directory.samples + 24 if floats else colours * (2 if directory.bits == 16 else 1)
    check_budget(path, width, height, size, budget_bytes, bits=directory.bits or 8)
    orientation = directory.integer(tiff.ORIENTATION, UPRIGHT)
    if not directory.is_plain:
        return _read_odd_tiff(path, data, directory, orientation)
    with _explaining_damage(path):
        samples = tiff.decode_samples(data, directory)
    if samples is None or samples.shape != (height, width, directory.samples):
        raise InputError(
            f"{path} is damaged or cut short: its pixels cannot be decoded.", "save it again as plain RGB"
        )
    photometric = directory.integer(tiff.PHOTOMETRIC, tiff.MIN_IS_BLACK)
    if floats:
        return _float_picture(path, samples, directory, orientation)
    top = np.iinfo(samples.dtype).max
    alpha = multiplied = None
    if directory.alpha is not None:
        number, multiplied = directory.alpha
        alpha = samples[..., number]
    profile = directory.profile
    if photometric == tiff.CMYK:
        inks = Image.fromarray(to_depth(np.ascontiguousarray(samples[..., :4]), np.uint8), "CMYK")
        pixels, profile = np.asarray(_cmyk_to_rgb(inks, profile)), None
        alpha = None if alpha is None else to_depth(np.ascontiguousarray(alpha), np.uint8)
    elif photometric == tiff.RGB:
        pixels = samples[..., :3]
    else:
        grey = samples[..., 0] if photometric == tiff.MIN_IS_BLACK else top - samples[..., 0]
        pixels = np.repeat(grey[..., None], 3, axis=2)
    if alpha is not None and multiplied:
        pixels = _unmultiply(pixels, alpha)
    return _upright(pixels, alpha, orientation, profile)


def _read_odd_tiff(path: Path, data: bytes, directory: tiff.Directory, orientation: int) -> Picture:
    """Read palettes, few bits, JPEG inside and the like with Pillow, up to 8 bits."""
    if directory.sample_format == tiff.FLOATS:
        raise InputError(
            f"{path} stores floats in a layout that cannot be read.",
            "save it as EXR, or as plain RGB of 32 bits",
        )
    if directory.bits == 0 or directory.bits > 8:
        what = "is stored in a 16-bit layout that cannot be read"
        if directory.bits != 16 or directory.sample_format != tiff.UNSIGNED:
            what = "has samples that are neither 8 nor 16 bits, or that are signed"
        raise InputError(f"{path} {what}.", "save it as plain RGB of 8 or 16 bits")
    with _explaining_damage(path), _open(io.BytesIO(tiff.without_orientation(data, directory))) as image:
        image.load()
        pixels, alpha, profile = _decode_8_bits(image, path, directory.profile)
    return _upright(pixels, alpha, orientation, profile)


def _float_picture(path: Path, samples: AnyArray, directory: tiff.Directory, orientation: int) -> Picture:
    """A TIFF of floats as light."""
    photometric = directory.integer(tiff.PHOTOMETRIC, tiff.MIN_IS_BLACK)
    if photometric == tiff.CMYK:
        raise InputError(f"{path} stores inks (CMYK) as floats, which cannot be read.", "save it as RGB")
    floats = np.nan_to_num(samples, nan=0.0, posinf=LARGEST_HALF, neginf=-LARGEST_HALF).astype(np.float32)
    light: Light = floats[..., :3] if photometric == tiff.RGB else np.repeat(floats[..., :1], 3, axis=2)
    if photometric == tiff.MIN_IS_WHITE:
        light = 1 - light
    alpha = None
    if directory.alpha is not None:
        number, multiplied = directory.alpha
        weight = np.clip(floats[..., number], 0, 1)
        if multiplied:
            light = np.where(weight[..., None] > 0, light / np.where(weight > 0, weight, 1)[..., None], light)
            light = np.clip(light, -LARGEST_HALF, LARGEST_HALF)
        alpha = np.ascontiguousarray(make_upright(np.rint(weight * 65535).astype(np.uint16), orientation))
    light = np.ascontiguousarray(make_upright(np.ascontiguousarray(light), orientation))
    colour = Colour("full", "rgb", transfer=SRGB)
    return Picture(
        encode(light, SRGB, np.uint16), alpha, None, light, PictureTags(bit_depth=16, colour=colour)
    )


_HEADER_LOCK = threading.Lock()


def _open(source: Path | io.BytesIO) -> Image.Image:
    """Read the header. The caller's budget in bytes replaces Pillow's own limit of pixels."""
    if is_heif(_read_beginning(source)):
        return open_heif(source)
    with _HEADER_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(source, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _explaining_damage(path: Path) -> Iterator[None]:
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


def _decode_8_bits(
    image: Image.Image, path: Path, profile: bytes | None
) -> tuple[Pixels, AnyArray | None, bytes | None]:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise InputError(
            f"{path} has samples that are neither 8 nor 16 bits (Pillow's mode {image.mode}).",
            "save it with 8 or 16 bits a sample",
        )
    if image.mode == "CMYK":
        return np.asarray(_cmyk_to_rgb(image, profile)), None, None
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


def _unmultiply(pixels: Pixels, alpha: AnyArray) -> Pixels:
    top = np.iinfo(pixels.dtype).max
    weight = np.maximum(alpha, 1).astype(np.float32)[..., None] / top
    return np.asarray(np.minimum(np.rint(pixels / weight), top), pixels.dtype)


def _cmyk_to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
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

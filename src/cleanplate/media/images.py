"""Pictures in: every common still format as upright RGB of the file's own depth, alpha apart."""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cleanplate.errors import InputError
from cleanplate.frame import Light, Pixels, StoredLight
from cleanplate.media.colour import Colour
from cleanplate.media.dpx import read_dpx
from cleanplate.media.exr import LARGEST_HALF, read_exr
from cleanplate.media.files import check_readable
from cleanplate.media.orientation import UPRIGHT, make_upright
from cleanplate.media.picture_tags import PictureTags
from cleanplate.transfer import SRGB, encode

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".exr", ".dpx"})
"""What :func:`list_images` takes for a picture."""

DEFAULT_BUDGET_BYTES = 2 << 30

_EXR = b"\x76\x2f\x31\x01"
_DPX = (b"SDPX", b"XPDS")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_TIFF_BITS_PER_SAMPLE = 258
_TIFF_SIZE = (257, 256, 277)
_TIFF_PLANAR = 284
_TIFF_SAMPLE_FORMAT = 339
_FLOATS = 3
_TIFF_EXTRA_SAMPLES = 338
_ASSOCIATED_ALPHA = 1


@dataclass(frozen=True)
class Picture:
    """A decoded still.

    Attributes:
        pixels: uint8 or uint16 RGB, ``(height, width, 3)``, upright.
        alpha: ``(height, width)`` of the same type, straight; None if the file has none.
        icc_profile: The RGB profile that came with the pixels; None if there was none, or if it was a profile
            of inks or greys, which does not describe RGB.
        light: Of a file of floats, its own numbers, which ``pixels`` show as far as sRGB's code values reach;
            None for all others.
        tags: What else the file says.
    """

    pixels: Pixels
    alpha: npt.NDArray[Any] | None
    icc_profile: bytes | None
    light: StoredLight | None = None
    tags: PictureTags = field(default_factory=PictureTags)


def read_image(path: str | Path, *, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> Picture:
    """Read a picture: JPEG, PNG, WebP, TIFF and what else Pillow knows, EXR, DPX; the first of an animation.

    Grey, palette and CMYK become RGB (CMYK through its profile, to sRGB), EXIF's orientation is applied, and
    16 bits stay 16 bits. The numbers of EXR, and of TIFF with floats, are linear light: the pixels are their
    sRGB code values of 16 bits, and the numbers themselves are the picture's ``light``.

    Args:
        path: The file.
        budget_bytes: The most memory that the decoded pixels may take; a picture over it is refused unread.

    Raises:
        InputError: No such file, a folder, not a picture, damaged, or over the budget.
        MissingExtraError: It is EXR, and its library is not installed.
    """
    path = Path(path)
    check_readable(path, "a picture")
    with _explaining_damage(path), path.open("rb") as file:
        magic = file.read(4)
    if magic == _EXR:
        decoded = read_exr(path, budget_bytes)
        return Picture(decoded.pixels, decoded.alpha, None, decoded.light, decoded.tags)
    if magic in _DPX:
        return _read_dpx(path, budget_bytes)
    if magic in _TIFF and (floats := _read_float_tiff(path, budget_bytes)) is not None:
        return floats
    with _explaining_damage(path), _open(path) as image:
        alpha_channels = int(image.has_transparency_data)
        deep = _has_16_bits(image)
        size_bytes = image.width * image.height * (3 + alpha_channels) * (2 if deep else 1)
        if size_bytes > budget_bytes:
            raise InputError(
                f"{path} is {image.width}x{image.height}: decoded it takes {size_bytes / 1e6:,.0f} MB, "
                f"over the budget of {budget_bytes / 1e6:,.0f} MB.",
                "make it smaller or raise the budget",
            )
        if not deep:
            image.load()  # Pillow turns TIFF upright by itself here, and takes the tag away
        orientation = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
        profile = image.info.get("icc_profile")
        if deep:
            pixels, alpha = _decode_16_bits(image, path)
        else:
            if image.mode == "CMYK" and profile:
                image = _cmyk_to_srgb(image, profile)
                profile = None
            pixels, alpha = _decode_8_bits(image, path)
    return Picture(
        np.require(make_upright(pixels, orientation), requirements=["C", "W"]),
        None if alpha is None else np.require(make_upright(alpha, orientation), requirements=["C", "W"]),
        profile if profile and profile[16:20] == b"RGB " else None,
    )


def read_mode(path: Path) -> str:
    """Pillow's name for how a picture is stored, from its header: ``"L"`` is grey, ``"RGBA"`` has alpha."""
    with _explaining_damage(path), _open(path) as image:
        return str(image.mode)


def list_images(folder: str | Path) -> list[Path]:
    """The pictures directly inside a folder, in natural order: ``shot 2`` before ``shot 10``.

    Raises:
        InputError: No such folder, not a folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.exists():
        raise InputError(f"There is no folder {folder}.", "check the spelling")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.")
    found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    if not found:
        raise InputError(
            f"There are no pictures in the folder {folder}.",
            "looked for " + ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES)),
        )
    return sorted((p for p in found if p.is_file()), key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _read_dpx(path: Path, budget_bytes: int) -> Picture:
    samples, tags = read_dpx(path, budget_bytes)
    if samples.shape[2] == 1:
        return Picture(np.repeat(samples, 3, axis=2), None, None, tags=tags)
    alpha = np.ascontiguousarray(samples[..., 3]) if samples.shape[2] == 4 else None
    return Picture(np.ascontiguousarray(samples[..., :3]), alpha, None, tags=tags)


def _read_float_tiff(path: Path, budget_bytes: int) -> Picture | None:
    """A TIFF of floats as light; None for one of whole numbers, and for what cannot be told."""
    tags = _read_tiff_tags(path)
    if tags.get(_TIFF_SAMPLE_FORMAT, (0,))[0] != _FLOATS:
        return None
    height, width, samples = (int(tags.get(tag, 0)) for tag in _TIFF_SIZE)
    size_bytes = height * width * (4 * samples + 24)  # the floats, the light and the codes at the same time
    if size_bytes > budget_bytes:
        raise InputError(
            f"{path} is {width}x{height}: decoded it takes {size_bytes / 1e6:,.0f} MB, "
            f"over the budget of {budget_bytes / 1e6:,.0f} MB.",
            "make it smaller or raise the budget",
        )
    _refuse_planes(path, tags)
    decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype not in (np.float32, np.float64) or decoded.shape[2:] == (2,):
        raise InputError(
            f"{path} is damaged, or stores floats in a layout that cannot be read.",
            "save it as EXR, or as plain RGB of 32 bits",
        )
    floats = np.nan_to_num(decoded, nan=0.0, posinf=LARGEST_HALF, neginf=-LARGEST_HALF).astype(np.float32)
    light: Light = np.stack([floats] * 3, axis=-1) if floats.ndim == 2 else floats[..., 2::-1]
    alpha = None
    if floats.shape[2:] == (4,):
        alpha = np.rint(np.clip(floats[..., 3], 0, 1) * 65535).astype(np.uint16)
    orientation = int(tags.get(ExifTags.Base.Orientation, UPRIGHT))
    light = np.ascontiguousarray(make_upright(light, orientation))
    alpha = None if alpha is None else np.ascontiguousarray(make_upright(alpha, orientation))
    colour = Colour("full", "rgb", transfer=SRGB)
    return Picture(
        encode(light, SRGB, np.uint16), alpha, None, light, PictureTags(bit_depth=16, colour=colour)
    )


def _refuse_planes(path: Path, tags: Mapping[int, Any]) -> None:
    """Raise for a TIFF whose colours lie one after the other: OpenCV takes the first of them for all."""
    if tags.get(_TIFF_PLANAR) == 2 and tags.get(_TIFF_SIZE[2], 1) > 1:
        raise InputError(
            f"{path} stores each colour by itself, which is read of 8 bits only.",
            "save it with its samples interleaved (per pixel), as most programs do",
        )


def _read_tiff_tags(path: Path) -> dict[int, Any]:
    """The first directory of a TIFF, which Pillow reads of layouts that it cannot decode, too."""
    try:
        with path.open("rb") as file:
            header = file.read(8)
            if header[2:4] in (b"+\0", b"\0+"):
                header += file.read(8)
            directory = cast(Any, ImageFileDirectory_v2)(header)
            file.seek(directory.next)
            directory.load(file)
            return dict(directory)
    except Exception:  # noqa: BLE001 - damage: whoever decodes it will say so
        return {}


_HEADER_LOCK = threading.Lock()


def _open(path: Path) -> Image.Image:
    """Read the header. Pillow's own limit of pixels gives way to the caller's budget, a figure in bytes."""
    with _HEADER_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _explaining_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is not a picture that cleanplate can read.", "JPEG, PNG, WebP and TIFF are"
        ) from None
    except PermissionError:
        raise InputError(f"{path} cannot be read: permission denied.") from None
    except MemoryError:
        raise InputError(f"{path} does not fit into memory.", "make it smaller") from None
    except Exception as error:
        # Decoders let anything out on damaged files: OSError, SyntaxError, struct.error, IndexError ...
        raise InputError(f"{path} is damaged or cut short: {str(error).rstrip('.')}.") from error


def _has_16_bits(image: Image.Image) -> bool:
    if image.format == "PNG":
        tiles = cast(Any, image).tile
        return bool(tiles) and str(tiles[0][-1]).endswith(";16B")
    if image.format == "TIFF":
        bits = cast(Any, image).tag_v2.get(_TIFF_BITS_PER_SAMPLE, (8,))
        return bool(max(bits) == 16)
    return False


def _decode_8_bits(image: Image.Image, path: Path) -> tuple[Pixels, npt.NDArray[Any] | None]:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise InputError(
            f"{path} has samples that are neither 8 nor 16 bits (Pillow's mode {image.mode}).",
            "save it with 8 or 16 bits a sample",
        )
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return rgba[..., :3], rgba[..., 3]
    return np.asarray(image.convert("RGB")), None


def _decode_16_bits(image: Image.Image, path: Path) -> tuple[Pixels, npt.NDArray[Any] | None]:
    """Pillow has no mode for 16-bit colour and would quietly drop the lower half: OpenCV decodes.

    Pillow still reads the file once, as its complaints about damage can be caught and OpenCV's go to stderr.
    """
    if image.format == "TIFF":
        _refuse_planes(path, cast(Any, image).tag_v2)
    image.load()
    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise InputError(f"{path} is stored in a 16-bit layout that cannot be read.", "save it as plain RGB")
    if decoded.ndim == 2:
        return cv2.cvtColor(decoded, cv2.COLOR_GRAY2RGB), None
    if decoded.shape[2] == 3:
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), None
    rgba = cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA)
    pixels, alpha = rgba[..., :3], rgba[..., 3]
    if image.format == "TIFF" and cast(Any, image).tag_v2.get(_TIFF_EXTRA_SAMPLES) == (_ASSOCIATED_ALPHA,):
        pixels = _unmultiply(pixels, alpha)
    return pixels, alpha


def _unmultiply(pixels: Pixels, alpha: npt.NDArray[Any]) -> Pixels:
    weight = np.maximum(alpha, 1).astype(np.float32)[..., None] / 65535
    return cast(Pixels, np.minimum(np.rint(pixels / weight), 65535).astype(np.uint16))


def _cmyk_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Through the inks' own profile: without it, printed colours come out garish."""
    try:
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image
    return image if converted is None else converted

"""Pictures in: every common still format as upright RGB of the file's own depth, alpha apart."""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from cleanplate.errors import InputError
from cleanplate.frame import Pixels
from cleanplate.media.files import check_readable
from cleanplate.media.orientation import UPRIGHT, make_upright

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
"""What :func:`list_images` takes for a picture."""

DEFAULT_BUDGET_BYTES = 2 << 30

_TIFF_BITS_PER_SAMPLE = 258
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
    """

    pixels: Pixels
    alpha: npt.NDArray[Any] | None
    icc_profile: bytes | None


def read_image(path: str | Path, *, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> Picture:
    """Read a picture: JPEG, PNG, WebP, TIFF and what else Pillow knows; the first one of an animation.

    Grey, palette and CMYK become RGB (CMYK through its profile, to sRGB), EXIF's orientation is applied, and
    16 bits stay 16 bits.

    Args:
        path: The file.
        budget_bytes: The most memory that the decoded pixels may take; a picture over it is refused unread.

    Raises:
        InputError: No such file, a folder, not a picture, damaged, or over the budget.
    """
    path = Path(path)
    check_readable(path, "a picture")
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
